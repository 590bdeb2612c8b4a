/** Makes an EROFS image of a tar archive, with mkfs.erofs. */
import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { SandboxError } from '../../util/errors.js';
import { findInPath } from '../../util/programs.js';
import { shortageOf } from '../../util/shortage.js';
import { abortedError, throwIfAborted } from '../cancel.js';
import { imageError, quoted } from '../errors.js';

/** Most characters of what the program says that are kept. */
const MOST_SAID = 4096;

/**
 * What makes the bytes the same every time. Block size: that of most hosts, also where a page is larger. Times: of the
 * files, and none of the image's making. Order: that of the archive, in one go; by default a copy of all content is
 * made and sorted first.
 */
const OPTIONS = ['--quiet', '-b4096', '--tar=f', '-T0', '--mkfs-time', '--preserve-mtime', '--sort=none'];

/** @throws {SandboxError} `erofs-missing` */
export function findMkfs(): string {
  const path = findInPath('mkfs.erofs');
  if (path !== undefined) return path;
  throw imageError(
    'erofs-missing',
    'images are made into file systems by mkfs.erofs, which is not installed',
    'install erofs-utils 1.8 or later',
  );
}

export interface ErofsOptions {
  /** Where the image is made; nothing may be there. */
  readonly path: string;
  /** 32 hexadecimal digits. */
  readonly uuid: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the image. Nobody reads what is made of an archive that fails.
 * @throws {SandboxError} `erofs-missing`, `erofs-failed`, `disk-full`, `aborted`
 * @throws what the archive throws
 */
export async function makeErofs(archive: AsyncIterable<Buffer>, { path, uuid, signal }: ErofsOptions): Promise<void> {
  const mkfs = findMkfs();
  throwIfAborted(signal);
  // Of the archive, whatever happens: a program that stops reading would hide what is wrong with it.
  let failure: { readonly error: unknown } | undefined;
  const watched = async function* () {
    try {
      yield* archive;
    } catch (error) {
      failure = { error };
      throw error;
    }
  };
  const child = spawn(mkfs, [...OPTIONS, '-U', toUuid(uuid), path], { stdio: ['pipe', 'ignore', 'pipe'] });
  const ended = new Promise<{ code: number | null; signal: string | null; error?: Error }>((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, error }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-MOST_SAID);
  });
  const fed = await pipeline(
    Readable.from(watched(), { objectMode: false }),
    child.stdin,
    signal ? { signal } : {},
  ).then(
    () => true,
    () => false,
  );
  if (!fed) child.kill('SIGKILL');
  const { code, error } = await ended;
  if (signal?.aborted) throw abortedError(signal.reason);
  if (failure !== undefined) throw failure.error;
  if (code !== 0) throw failed(said, path, error);
}

function toUuid(digits: string): string {
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20, 32),
  ].join('-');
}

function failed(said: string, path: string, cause: unknown): SandboxError {
  const last = said.trim().split('\n').at(-1) ?? '';
  if (shortageOf(new Error(said)) === 'space')
    return imageError('disk-full', `no space is left for the image ${quoted(path)}`, 'free some there', cause);
  return imageError(
    'erofs-failed',
    `mkfs.erofs made no image${last === '' ? '' : `: ${quoted(last)}`}`,
    'see that erofs-utils is 1.8 or later, and report this image',
    cause,
  );
}
