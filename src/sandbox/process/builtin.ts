/** Programs of the init itself, which run as a user of the sandbox, whatever programs its root has. */
import type { Readable, Writable } from 'node:stream';
import type { GuestConfig } from '../../../init/common/config.js';
import type { Channel } from '../../protocol/channel.js';
import { SpawnFlag } from '../../protocol/wire.js';
import { Bytes } from '../../util/bytes.js';
import { unlessAborted } from '../../util/promises.js';
import { allowListeners, configOf, giveUp, isOver, lostError, SandboxProcess, spawnInGuest } from './process.js';

/** The exit status after a report on stderr. */
const FAILED = 1;

/** More than the longest report. */
const REPORT_BYTES = 16_384;

export interface BuiltinOptions {
  /** As of `SpawnOptions`. */
  readonly user?: string | undefined;
  /** Kills it, and destroys its output. */
  readonly signal?: AbortSignal | undefined;
  /** What it is killed with; default: SIGKILL. */
  readonly killSignal?: 'SIGKILL' | 'SIGTERM' | undefined;
  /** As of `SpawnOptions`. */
  readonly cwd?: string | undefined;
  /** Called with what it writes to stderr, as it comes. */
  readonly onStderr?: ((bytes: Buffer) => void) | undefined;
}

/** A system call in the sandbox failed. */
export class BuiltinError extends Error {
  override readonly name = 'BuiltinError';

  /**
   * @param errno 0: it ended without a report
   * @param what the system call and its arguments: `open(/etc/shadow)`
   */
  constructor(
    readonly errno: number,
    readonly what: string,
  ) {
    super(what);
  }
}

/** A running program of the init. Read its stdout, or destroy it: `ended` settles only then. */
export interface Builtin {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /**
   * It ended as it should.
   * @throws {BuiltinError} if it failed
   * @throws {SandboxError} `process-lost` if the sandbox ended first
   */
  readonly ended: Promise<void>;
  kill(): Promise<void>;
}

/**
 * Starts a program of the init.
 * @param argv its name and its arguments: docs/protocol.md
 * @param what the action, for errors
 * @throws {SandboxError} `user-unknown`, `users-unreadable`, `cwd-unusable`, `spawn-failed`, `process-lost`
 * @throws the signal's reason if it aborts
 */
export async function startBuiltin(
  channel: Channel,
  guest: GuestConfig,
  argv: readonly string[],
  what: string,
  { user, signal, killSignal = 'SIGKILL', cwd, onStderr }: BuiltinOptions = {},
): Promise<Builtin> {
  signal?.throwIfAborted();
  if (signal) allowListeners(signal);
  try {
    const config = await configOf(channel, guest, argv, { user, cwd });
    const starting = spawnInGuest(channel, config, SpawnFlag.BUILTIN).then(
      ({ process, pid }) => new SandboxProcess(channel, process, pid, what),
    );
    const process = await unlessAborted(starting, signal, (reason) => reason as Error).catch((error) => {
      starting.then(
        (late) => giveUp(late, killSignal),
        () => {},
      );
      throw error;
    });
    const { stdin, stdout } = process;
    const kill = () => giveUp(process, killSignal);
    signal?.addEventListener('abort', kill, { once: true });
    const ended = endOf(process, onStderr).finally(() => signal?.removeEventListener('abort', kill));
    // Callers may look at it later.
    ended.catch(() => {});
    if (signal?.aborted) void kill();
    return { stdin, stdout, ended, kill };
  } catch (error) {
    throw isOver(error) ? lostError(what, error) : error;
  }
}

async function endOf(process: SandboxProcess, onStderr: BuiltinOptions['onStderr']): Promise<void> {
  const report = new Bytes();
  try {
    for await (const chunk of process.stderr as AsyncIterable<Buffer>) {
      onStderr?.(chunk);
      if (report.length < REPORT_BYTES) report.add(chunk);
    }
  } catch {
    // It was killed; its status says so.
  }
  const { code, exitCode } = await process.exited;
  if (code === 0) return;
  const said = report.take();
  if (code !== FAILED || said.length < 4) throw new BuiltinError(0, `it ended with status ${exitCode}`);
  throw new BuiltinError(said.readUInt32BE(0), said.subarray(4).toString('utf8'));
}
