/** One command in a sandbox of its own, from its start to its end. */
import { inMilliseconds } from '../config/parsers/duration.js';
import { MAX_TIME_LIMIT } from '../protocol/wire.js';
import type { CreateOptions } from './prepare/create-types.js';
import { argvOf } from './process/command.js';
import { type Running, runToEnd } from './process/run.js';
import type { RunOptions, RunResult } from './process/types.js';
import { Sandbox } from './sandbox.js';

/** The options of the sandbox, and of the command. */
export interface RunOnceOptions extends CreateOptions, Pick<RunOptions, 'input' | 'maxBuffer' | 'reject' | 'timeout'> {}

export interface RunOnceResult extends RunResult {
  /** From the call until the command ran. */
  readonly startMilliseconds: number;
}

/**
 * Runs a command in a sandbox of its own.
 *
 * ```ts
 * const { stdout, exitCode } = await run(['uname', '-r']);
 * ```
 *
 * @param command the program and its arguments; a string goes to `sh -c`
 * @throws {SandboxError} if the sandbox fails; if the command does, only with `reject`: `run-failed`
 * @throws the reason of `signal` if that aborts
 */
export async function run(command: string | readonly string[], options: RunOnceOptions = {}): Promise<RunOnceResult> {
  const { input, maxBuffer, reject, timeout, ...creating } = options;
  const running = { input, maxBuffer, reject, timeout };
  const { checkRun } = await import('./process/spawn-schema.js');
  checkRun(command, running);
  const timeLimit = inMilliseconds(timeout, 'timeout', MAX_TIME_LIMIT);
  const begun = performance.now();
  let startMilliseconds = 0;
  let sandbox: Sandbox | undefined;
  const start = async (): Promise<Running> => {
    const started = await Sandbox.startWith(argvOf(command), creating, timeLimit);
    sandbox = started;
    startMilliseconds = performance.now() - begun;
    const { stdin, stdout, stderr } = started;
    const exited = started.exited.then((status) => ({ ...status, timedOut: started.timedOut }));
    return { stdin, stdout, stderr, exited, kill: (signal) => started.kill(signal) };
  };
  try {
    const result = await runToEnd(start, command, { ...running, signal: options.signal });
    return { ...result, milliseconds: result.milliseconds - startMilliseconds, startMilliseconds };
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    // Nothing of it is left, whatever has failed.
    await sandbox?.stop();
  }
}
