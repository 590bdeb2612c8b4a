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
  /** How long it took to find or build the boot image, and to prepare all else that a start needs. */
  readonly prepareMilliseconds: number;
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
  let sandbox: Sandbox | undefined;
  const start = async (): Promise<Running> => {
    const started = await Sandbox.startWith(argvOf(command), creating, timeLimit);
    sandbox = started;
    return started;
  };
  try {
    const result = await runToEnd(start, command, { ...running, signal: options.signal });
    const { prepareMilliseconds = 0, startMilliseconds = 0 } = sandbox ?? {};
    return { ...result, prepareMilliseconds, startMilliseconds };
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    // Nothing of it is left, whatever has failed.
    await sandbox?.stop();
  }
}
