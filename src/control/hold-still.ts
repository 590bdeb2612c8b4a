/**
 * Holds a running sandbox still, so that its state can be copied: a machine writes out its file systems, and that of an
 * overlay's disk is frozen; then nothing inside runs. The holder and the init let all of it go on when the connection
 * ends, however that is.
 */
import type { Channel } from '../protocol/channel.js';
import { KEPT } from '../sandbox/overlay/changes-inside.js';
import { asRoot } from '../sandbox/process/as-root.js';
import { type Builtin, BuiltinError, startBuiltin } from '../sandbox/process/builtin.js';
import { messageOf, SandboxError } from '../util/errors.js';
import { unlessAborted } from '../util/promises.js';
import type { SandboxRecord } from './record.js';
import type { ControlRequest } from './requests.js';

/** How long the guest may take to write out what it has in memory, in milliseconds. */
const FREEZE_MS = 60_000;

/** A sandbox that stands still. */
export interface Stillness {
  /** When it began to, as performance.now() has it: its file system was frozen then. */
  readonly since: number;
  /**
   * Lets it go on.
   * @throws {SandboxError} `sandbox-not-still`, `control-failed`, `sandbox-ended`
   */
  release(): Promise<void>;
}

/** A connection to its holder. */
export interface HeldSandbox {
  readonly channel: Channel;
  readonly record: SandboxRecord;
  readonly ask: (request: ControlRequest) => Promise<unknown>;
}

/**
 * @throws {SandboxError} `sandbox-not-still`, `control-failed`, `sandbox-ended`
 * @throws the signal's reason if it aborts
 */
export async function holdStill(sandbox: HeldSandbox, signal?: AbortSignal): Promise<Stillness> {
  const freeze = sandbox.record.platform === 'machine' ? await startFreeze(sandbox, signal) : undefined;
  const since = performance.now();
  const thaw = async () => {
    freeze?.stdin.end();
    freeze?.stdout.resume();
    await freeze?.ended;
  };
  try {
    await sandbox.ask({ ask: 'pause' });
  } catch (error) {
    await thaw().catch(() => {});
    throw error;
  }
  return {
    since,
    release: async () => {
      try {
        await sandbox.ask({ ask: 'resume' });
      } finally {
        await thaw().catch((error: unknown) => {
          throw error instanceof BuiltinError ? notStill(sandbox, error) : error;
        });
      }
    },
  };
}

/** What a directory of the host keeps cannot be frozen: it is written out. */
async function startFreeze(sandbox: HeldSandbox, signal: AbortSignal | undefined): Promise<Builtin> {
  const { channel, record } = sandbox;
  const { guest, overlay, name } = record;
  const late = new AbortController();
  const timer = setTimeout(
    () => late.abort(new Error(`it took more than ${FREEZE_MS / 1000} s to write all`)),
    FREEZE_MS,
  );
  const either = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
  let freeze: Builtin | undefined;
  try {
    freeze = await startBuiltin(channel, asRoot(guest), ['freeze', overlay ? KEPT : '/'], `freeze ${name}`, {
      signal: either,
      killSignal: 'SIGTERM',
    });
    const { stdout, ended } = freeze;
    const told = new Promise<void>((resolve) => stdout.once('data', () => resolve()));
    const failed = ended.then(() => Promise.reject(new BuiltinError(0, 'it ended before its time')));
    await unlessAborted(Promise.race([told, failed]), either, (reason) => reason as Error);
    return freeze;
  } catch (error) {
    void freeze?.kill();
    signal?.throwIfAborted();
    if (late.signal.aborted || error instanceof BuiltinError) throw notStill(sandbox, late.signal.reason ?? error);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function notStill({ record: { name } }: HeldSandbox, error: unknown): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'sandbox-not-still',
    message: `the sandbox ${name} cannot be held still: ${messageOf(error)}`,
    remedy: 'stop it first',
    cause: error,
  });
}
