/** Runs a command in a sandbox to its end, and collects what it writes. */
import type { Readable, Writable } from 'node:stream';
import { Bytes } from '../../util/bytes.js';
import { SandboxError, SHOWN_CHARACTERS } from '../../util/errors.js';
import { unlessAborted } from '../../util/promises.js';
import { type Command, nameOf } from './command.js';
import { USUAL_BYTES } from './max-buffer.js';
import type { ProcessExit, RunOptions, RunResult } from './types.js';

/** What runs. */
export interface Running {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exited: Promise<ProcessExit>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/**
 * Waits for no longer than it has to: what the command leaves running may hold its output for ever.
 * @param start starts the process
 * @throws the signal's reason if it aborts
 * @throws {SandboxError} `output-too-large`, `run-failed`, `process-lost`, and what `start` throws
 */
export async function runToEnd(
  start: () => Promise<Running>,
  command: Command,
  { input = '', maxBuffer = USUAL_BYTES, reject = false, signal }: RunOptions,
): Promise<RunResult> {
  const name = nameOf(command);
  const ordered = performance.now();
  const process = await start();
  const begun = performance.now();
  process.stdin.end(input);
  const collected = Promise.all([
    collect(process, process.stdout, 'stdout', name, maxBuffer),
    collect(process, process.stderr, 'stderr', name, maxBuffer),
  ]);
  try {
    const all = Promise.all([process.exited, collected]);
    const [exit, [stdout, stderr]] = await unlessAborted(all, signal, (reason) => reason as Error);
    const took = { startMilliseconds: begun - ordered, milliseconds: performance.now() - begun };
    const result = { ...exit, stdout, stderr, ...took };
    if (reject && (exit.timedOut || exit.exitCode !== 0)) throw failedError(name, result);
    return result;
  } finally {
    // What was not read is not wanted.
    process.stdout.destroy();
    process.stderr.destroy();
  }
}

async function collect(process: Running, stream: Readable, what: string, name: string, most: number): Promise<string> {
  const bytes = new Bytes();
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (bytes.length + chunk.length > most) {
      await process.kill('SIGKILL');
      throw tooLargeError(name, what, most);
    }
    bytes.add(chunk);
  }
  return bytes.take().toString('utf8');
}

function tooLargeError(name: string, what: string, most: number): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'output-too-large',
    message: `${name}: it wrote more than ${most} bytes to ${what}, and was killed`,
    remedy: 'give a larger maxBuffer, or take its output from spawn() as it comes',
  });
}

function failedError(name: string, { timedOut, signal, exitCode, stderr }: RunResult): SandboxError {
  const how = timedOut ? 'its time was over' : signal === undefined ? `exit code ${exitCode}` : `ended by ${signal}`;
  const said = stderr.trim().slice(-SHOWN_CHARACTERS);
  return new SandboxError({
    stage: 'application',
    code: 'run-failed',
    message: `${name}: ${how}${said === '' ? '' : `; it said: ${said}`}`,
    remedy: timedOut ? 'allow more with timeout' : 'see what it says; without reject its status is in the result',
    exitCode,
  });
}
