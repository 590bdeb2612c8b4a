/** Makes an EROFS image of a tar archive, with mkfs.erofs. */
import { spawn } from 'node:child_process';
import { open, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { SandboxError } from '../../util/errors.js';
import { findInPath } from '../../util/programs.js';
import { shortageOf } from '../../util/shortage.js';
import { abortedError, throwIfAborted } from '../cancel.js';
import { imageError, quoted } from '../errors.js';

/** Most characters of what the program says that are kept. */
const MOST_SAID = 4096;
/** Bytes. */
const LEAST_ROOM = 64 << 10;
/** Of a superblock. */
const MAGIC = 0xe0f5e1e2;

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
  // The program takes a full disk for a damaged archive, and may not notice one at all.
  if (await isFull(path)) throw diskFull(path, error);
  if (code !== 0 || !(await isWhole(path))) throw failed(said, path, error);
}

/** Whether there is less room beside a file than any file needs. */
async function isFull(path: string): Promise<boolean> {
  const { bavail, bfree, bsize } = await statfs(dirname(path));
  return (process.geteuid?.() === 0 ? bfree : bavail) * bsize < LEAST_ROOM;
}

/** Whether a file has all blocks that its superblock speaks of: fs/erofs/erofs_fs.h of the kernel. */
async function isWhole(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const block = Buffer.alloc(128);
    const { bytesRead } = await file.read(block, 0, block.length, 1024);
    const blocks = block.readUInt32LE(36);
    const bits = block.readUInt8(12);
    return (
      bytesRead === block.length && block.readUInt32LE(0) === MAGIC && (await file.stat()).size >= blocks * 2 ** bits
    );
  } finally {
    await file.close();
  }
}

function diskFull(path: string, cause: unknown): SandboxError {
  return imageError('disk-full', `no space is left in ${dirname(path)} for an image`, 'free some there', cause);
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
  if (shortageOf(new Error(said)) === 'space') return diskFull(path, cause);
  return imageError(
    'erofs-failed',
    `mkfs.erofs made no image${last === '' ? '' : `: ${quoted(last)}`}`,
    'see that erofs-utils is 1.8 or later, and report this image',
    cause,
  );
}
