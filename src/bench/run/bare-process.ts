/** A bare QEMU and what serves its root, as processes: they end with the measurement, however that ends. */
import { Supervisor } from '../../libvirt/supervisor.js';
import { exitStatusOf } from '../../sandbox/exit-status.js';
import { ignoreSandboxError } from '../../util/errors.js';
import { settlesWithin, unlessAborted } from '../../util/promises.js';
import type { Served } from './bare-root.js';
import { Interrupted, TIMEOUT_MS } from './process.js';

/** How a bare QEMU has ended. */
export interface BareEnd {
  /** As a shell reports it; undefined: nobody knows. */
  readonly status: number | undefined;
  /** A sentence that says how. */
  readonly how: string;
}

export interface BareOptions {
  readonly signal?: AbortSignal | undefined;
  /** For the whole of it, in milliseconds. */
  readonly limitMs?: number | undefined;
}

/**
 * Runs a bare QEMU while it is used, and kills it then.
 * @param directory of its sockets, which is removed
 * @param use gets the end of QEMU, which may come first
 * @returns what `use` gave, and the seconds from QEMU's start, its server's before it, until it is gone
 * @throws {Interrupted} when the signal came first
 * @throws {Error} when it was not done in time; as `use`
 * @throws {SandboxError} `supervisor-failed`, `clean-up-failed`, `clean-up-unfinished`
 */
export async function whileBare<Result>(
  served: Served,
  directory: string,
  use: (ended: Promise<BareEnd>) => Promise<Result>,
  { signal, limitMs = TIMEOUT_MS }: BareOptions,
): Promise<{ readonly result: Result; readonly seconds: number }> {
  if (signal?.aborted) throw new Interrupted();
  const start = process.hrtime.bigint();
  // It kills QEMU also where this process is killed.
  const supervisor = await Supervisor.start({ directory, command: served.command, kill: true });
  try {
    const ended = supervisor.commandExited.then((exit) => endOf(exit, served));
    const over = unlessAborted(use(ended), signal, () => new Interrupted());
    if (!(await settlesWithin(over, limitMs)))
      throw new Error(`the guest of the bare QEMU was not done within ${limitMs / 1000} s`);
    const result = await over;
    const finished = supervisor.finish();
    await Promise.race([ended, finished]);
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    await finished;
    return { result, seconds };
  } catch (error) {
    // Why it failed counts more than what cannot be removed.
    await ignoreSandboxError(supervisor.finish());
    throw error;
  }
}

function endOf(exit: Awaited<Supervisor['commandExited']>, { lastWords }: Served): BareEnd {
  if ('lost' in exit) return { status: undefined, how: exit.lost.message };
  const { code, signal, exitCode } = exitStatusOf(exit.status);
  const last = exit.stderr.trimEnd().split('\n').at(-1) ?? '';
  const words = [last, lastWords() ?? ''].filter((line) => line !== '').map((line) => `: ${line}`);
  return { status: exitCode, how: `the bare QEMU ended with ${signal ?? `status ${code}`}${words.join('')}` };
}
