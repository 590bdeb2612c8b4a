/**
 * Runs a program of libguestfs. Such a program starts QEMU, has files in TMPDIR and sockets in /tmp, and leaves all that
 * behind if a signal ends it. If QEMU ends it removes them and fails, so it is cancelled by killing what it has started.
 */
import { join } from 'node:path';
import { imageError } from '../../oci-names/errors.js';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError } from '../../util/errors.js';
import { ProcessGroup } from '../../util/process-group.js';
import { findInPath } from '../../util/programs.js';
import { roomIn } from '../../util/room.js';
import { abortedError, throwIfAborted } from '../cancel.js';
import { diskFull } from '../room.js';
import { recordProgram } from '../store/workspaces.js';
import { guestfsEnvironment } from './guestfs-environment.js';
import { lastWords } from './last-words.js';
import { StderrFile } from './stderr-file.js';

/** Bytes that have to stay free at least: on a full disk QEMU would stop its machine, and wait for ever. */
const LEAST_ROOM = 4 << 20;
/** Milliseconds between two looks at the room, and at what was written to stderr. */
const LOOK_EVERY = 100;

type GuestfsProgram = 'virt-builder' | 'virt-tar-out';

export interface GuestfsRun {
  readonly program: GuestfsProgram;
  readonly args: readonly string[];
  /** What it is at work on, for messages. */
  readonly what: string;
  /** Whether what it writes is as large as somebody else wants, and leaves room to others. */
  readonly isImage: boolean;
  /** Where its files go: temporary ones in `tmp`, which stays, and what it says. */
  readonly workspace: string;
  /** The directory above, which is the user's, for messages. */
  readonly store: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal | undefined;
}

/** Gets what a program prints, while it does; what it throws ends the program, and is thrown. */
export type OnOutput = (piece: Buffer) => void;

/**
 * Runs it to its end.
 * @param onOutput default: nobody reads what it prints
 * @throws {SandboxError} `virt-builder-missing`, `virt-builder-failed`, `directory-not-roots`, `disk-full`, `aborted`
 */
export async function runGuestfs(run: GuestfsRun, onOutput?: OnOutput): Promise<void> {
  const { program, args, workspace, environment, signal } = run;
  const path = guestfsProgram(program);
  throwIfAborted(signal);
  const directory = join(workspace, 'tmp');
  const env = guestfsEnvironment(directory, environment);
  makeDirectories(directory, 0o700);
  const { execa } = await import('execa');
  const stderr = await StderrFile.open(join(workspace, 'stderr'));
  try {
    const child = execa(path, args, {
      // A group of its own: a terminal's Ctrl+C is for this process only.
      detached: true,
      cleanup: false,
      cwd: directory,
      env,
      extendEnv: false,
      stdin: 'ignore',
      // No pipe for a program that starts a machine: stderr-file.ts.
      stdout: onOutput === undefined ? 'ignore' : 'pipe',
      // execa takes any descriptor; its types know these only.
      stderr: stderr.fd as 9,
      buffer: false,
      reject: false,
    });
    const { pid } = child;
    const ending = new Ending(pid === undefined ? undefined : new ProcessGroup(pid));
    record(workspace, pid, ending);
    const onAbort = () => ending.cancel(abortedError(signal?.reason));
    child.stdout?.on('data', (piece: Buffer) => {
      try {
        if (ending.reason === undefined) onOutput?.(piece);
      } catch (error) {
        ending.cancel(error);
      }
    });
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted === true) onAbort();
    const looking = setInterval(() => void refuseTooMuch(run, stderr, ending), LOOK_EVERY);
    // What it has started may still have its stdout, and `child` waits for the end of that.
    child.once('exit', () => ending.sweep());
    try {
      const result = await child;
      await ending.settled;
      if (ending.reason !== undefined) throw ending.reason;
      if (!result.failed) return;
      const text = await stderr.tail();
      const words = lastWords(text, program) || (result.shortMessage ?? 'it failed');
      if (/No space left on device|Disk quota exceeded/.test(text)) throw diskFull(run.store, new Error(words));
      throw failed(run, words);
    } finally {
      clearInterval(looking);
      signal?.removeEventListener('abort', onAbort);
    }
  } finally {
    await stderr.close();
  }
}

/** For whoever sweeps the workspace when this process is killed. What nobody could find then does not run. */
function record(workspace: string, pid: number | undefined, ending: Ending): void {
  try {
    if (pid !== undefined) recordProgram(workspace, pid);
  } catch (error) {
    ending.cancel(error);
  }
}

/** Cancels what fills the disk, or does not stop to write to stderr. */
async function refuseTooMuch(run: GuestfsRun, stderr: StderrFile, ending: Ending): Promise<void> {
  try {
    if (await stderr.isTooLong()) ending.cancel(failed(run, 'it wrote too much to stderr'));
    const { free, left } = (await roomIn(run.workspace)).bytes;
    const least = run.isImage ? Math.max(left, LEAST_ROOM) : LEAST_ROOM;
    if (free >= least) return;
    ending.cancel(diskFull(run.store, undefined, `: ${free} bytes are free, and ${least} have to stay free`));
  } catch (error) {
    // Also when it has ended meanwhile, and the file is closed.
    if (!isSystemError(error)) throw error;
  }
}

/** The end of a program, before it is done or then. */
class Ending {
  /** Why it was cancelled; undefined: it was not. */
  reason: unknown;
  #cancelled: Promise<unknown> | undefined;
  #swept: Promise<void> | undefined;

  /** @param group undefined: it was not started */
  constructor(private readonly group: ProcessGroup | undefined) {}

  cancel(reason: unknown): void {
    this.reason ??= reason;
    this.#cancelled ??= this.group?.end();
  }

  /** The program has ended: so does what it has started. */
  sweep(): void {
    this.#swept ??= this.group?.killRest();
  }

  /** Resolves when nothing of it is left. */
  get settled(): Promise<unknown> {
    return Promise.all([this.#cancelled, this.#swept]);
  }
}

const PACKAGES: Readonly<Record<GuestfsProgram, string>> = {
  'virt-builder': 'guestfs-tools',
  'virt-tar-out': 'guestfish',
};

/**
 * The path of a program.
 * @throws {SandboxError} `virt-builder-missing`
 */
export function guestfsProgram(program: GuestfsProgram): string {
  const path = findInPath(program);
  if (path !== undefined) return path;
  throw imageError(
    'virt-builder-missing',
    `there is no ${program} in PATH, which images of virt-builder need`,
    `install it (Debian: ${PACKAGES[program]}), or use an image of a registry`,
  );
}

function failed({ program, what }: GuestfsRun, words: string) {
  return imageError(
    'virt-builder-failed',
    `${program} failed for ${what}: ${words}`,
    'see virt-sandbox-image list -s virt-builder for its templates, and libguestfs-test-tool for what it needs',
  );
}
