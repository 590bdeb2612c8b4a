/** Runs a command in a sandbox to its end, and collects what it writes. */
import type { Readable, Writable } from 'node:stream';
import { SandboxError } from '../../util/errors.js';
import type { ProcessExit, RunOptions, RunResult } from './types.js';

const USUAL_BYTES = 64 << 20;

/** What runs. */
export interface Running {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exited: Promise<ProcessExit>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** How much of stderr an error shows, in characters. */
const SHOWN_CHARACTERS = 500;

/**
 * @param start starts the process
 * @throws the signal's reason if it aborts
 * @throws {SandboxError} `output-too-large`, `run-failed`, `process-lost`, and what `start` throws
 */
export async function runToEnd(
  start: () => Promise<Running>,
  name: string,
  { input = '', maxBuffer = USUAL_BYTES, reject = false, signal }: RunOptions,
): Promise<RunResult> {
  const begun = performance.now();
  const process = await start();
  process.stdin.end(input);
  const collected = Promise.all([
    collect(process, process.stdout, 'stdout', name, maxBuffer),
    collect(process, process.stderr, 'stderr', name, maxBuffer),
  ]);
  collected.catch(() => {});
  const exit = await process.exited;
  const [stdout, stderr] = await collected;
  signal?.throwIfAborted();
  const result = { ...exit, stdout, stderr, milliseconds: performance.now() - begun };
  if (reject && exit.exitCode !== 0) throw failedError(name, result);
  return result;
}

async function collect(process: Running, stream: Readable, what: string, name: string, most: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > most) {
      await process.kill('SIGKILL');
      throw tooLargeError(name, what, most);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
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
