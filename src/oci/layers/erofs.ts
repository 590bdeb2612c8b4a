/** Makes an EROFS image of a tar archive, with mkfs.erofs. */
import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { imageError, quoted } from '../../oci-names/errors.js';
import type { SandboxError } from '../../util/errors.js';
import { findInPath, searchPath } from '../../util/programs.js';
import { shortageOf } from '../../util/shortage.js';
import { abortedError, throwIfAborted } from '../cancel.js';
import { diskFull, roomIn } from '../room.js';
import { tooMuch } from './errors.js';

/** Most characters of what the program says that are kept. */
const MOST_SAID = 4096;
/** Bytes. */
const LEAST_ROOM = 64 << 10;
/** Of a superblock. */
const MAGIC = 0xe0f5e1e2;
/**
 * Milliseconds that the program may take whatever it makes, and bytes of content that it surely writes in each further
 * one. It looks for each name in a list of those that its directory has already.
 */
const USUAL_TIME = 30 * 60_000;
const BYTES_PER_MS = 4 << 10;
/** Most memory of the program, in KiB. It takes some 600 bytes for an entry, and the entry's whole path. */
const MOST_MEMORY = 3 << 20;

/**
 * What makes the bytes the same every time. Block size: that of most hosts, also where a page is larger. Times: of the
 * files, and none of the image's making. All content is written twice: behind the end of the image while the archive is
 * read, and then to its place, in the order of paths. `--sort=none` would spare that together with `-E^inline_data`
 * only, with which each file takes whole blocks: decision 0060.
 */
const OPTIONS = ['--quiet', '-b4096', '--tar=f', '-T0', '--mkfs-time', '--preserve-mtime'];

/** Runs the words behind the first with a limit of memory; a lower one that holds already stays. */
const LIMITED = 'ulimit -v "$0" 2>/dev/null; exec "$@"';

/** @throws {SandboxError} `erofs-missing` */
export function findMkfs(find: (name: string) => string | undefined = findInPath): string {
  const path = find('mkfs.erofs');
  if (path !== undefined) return path;
  throw imageError(
    'erofs-missing',
    'images are made into file systems by mkfs.erofs, which is not installed',
    'install erofs-utils 1.8 or later',
  );
}

export interface ErofsOptions {
  /** Where the image is made; nothing may be there but an empty file. */
  readonly path: string;
  /** 32 hexadecimal digits. */
  readonly uuid: string;
  /** Milliseconds; default: {@link timeFor} an image without content. */
  readonly mostTime?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds that making an image may take. @param bytes of content */
export function timeFor(bytes: number): number {
  return USUAL_TIME + Math.ceil(bytes / BYTES_PER_MS);
}

/**
 * Makes the image. Nobody reads what is made of an archive that fails. A program that succeeds may have lost content:
 * erofs-contents.ts.
 * @throws {SandboxError} `erofs-missing`, `erofs-failed`, `disk-full`, `layer-too-large`, `aborted`
 * @throws what the archive throws
 */
export async function makeErofs(archive: AsyncIterable<Buffer>, options: ErofsOptions): Promise<void> {
  const { path, uuid, mostTime = timeFor(0), signal } = options;
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
  const words = [mkfs, ...OPTIONS, '-U', toUuid(uuid), path];
  const child = spawn('/bin/sh', ['-c', LIMITED, `${MOST_MEMORY}`, ...words], {
    stdio: ['pipe', 'ignore', 'pipe'],
    // Nothing of ours: SOURCE_DATE_EPOCH changes the times of files.
    env: { PATH: searchPath(), LC_ALL: 'C', TMPDIR: dirname(path) },
  });
  const ended = new Promise<{ code: number | null; error?: Error }>((resolve) => {
    child.once('error', (error) => resolve({ code: null, error }));
    child.once('close', (code) => resolve({ code }));
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-MOST_SAID);
  });
  const kill = () => void child.kill('SIGKILL');
  let isTooSlow = false;
  const timer = setTimeout(() => {
    isTooSlow = true;
    kill();
  }, mostTime);
  // It may work for long when it has read all.
  signal?.addEventListener('abort', kill, { once: true });
  const fed = await pipeline(
    Readable.from(watched(), { objectMode: false }),
    child.stdin,
    signal ? { signal } : {},
  ).then(
    () => true,
    () => false,
  );
  if (!fed) kill();
  const { code, error } = await ended;
  clearTimeout(timer);
  signal?.removeEventListener('abort', kill);
  if (signal?.aborted) throw abortedError(signal.reason);
  if (failure !== undefined) throw failure.error;
  if (isTooSlow) throw tooSlow(mostTime);
  if (code === 0 && (await isWhole(path))) return;
  // The program takes a full disk for a damaged archive.
  if ((await roomIn(dirname(path))) < LEAST_ROOM) throw diskFull(dirname(path), error);
  throw failed(said, path, error);
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

function toUuid(digits: string): string {
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20, 32),
  ].join('-');
}

function tooSlow(mostTime: number): SandboxError {
  return imageError(
    'erofs-failed',
    `mkfs.erofs made no image within ${Math.ceil(mostTime / 60_000)} minutes`,
    'see that the disk is not too busy, and try again, or use a smaller image',
  );
}

function failed(said: string, path: string, cause: unknown): SandboxError {
  const last = said.trim().split('\n').at(-1) ?? '';
  const shortage = shortageOf(new Error(said));
  if (shortage === 'space') return diskFull(dirname(path), cause);
  if (shortage === 'memory')
    return tooMuch('the image', `more entries than mkfs.erofs has memory for: ${quoted(last)}`);
  return imageError(
    'erofs-failed',
    `mkfs.erofs made no image${last === '' ? '' : `: ${quoted(last)}`}`,
    'see that erofs-utils is 1.8 or later, and report this image',
    cause,
  );
}
