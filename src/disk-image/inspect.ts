/** Finds out which file system a disk image on the host holds. */
import { open, stat } from 'node:fs/promises';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import { findInPath } from '../util/programs.js';
import { optionValue } from '../util/qemu-options.js';
import { contentOf, type Filesystem, filesystemOf, REGIONS, type Regions } from './superblock.js';

/** Time limit of qemu-io, in milliseconds. */
const TIMEOUT = 20_000;

/** An image to mount. */
export interface ImageFile {
  /** Path on the host. */
  readonly source: string;
  /** QEMU block format: `raw`, `qcow2`, … */
  readonly format: string;
}

export interface ImageContents {
  readonly filesystem: Filesystem;
  /** True if the source is a block device, not a file. */
  readonly isBlock: boolean;
}

/**
 * Finds out what an image holds.
 *
 * @param what What the image is for, as the start of a message: `the image of the mount on /mnt`.
 * @throws {SandboxError} `image-unreadable`, `image-tool-missing`, `image-no-filesystem`
 */
export async function inspectImage(image: ImageFile, what: string): Promise<ImageContents> {
  const named = `${what}, ${JSON.stringify(image.source)},`;
  const regions = image.format === 'raw' ? await readRaw(image, named) : await readThroughQemu(image, named);
  const filesystem = filesystemOf(regions);
  if (filesystem === undefined) {
    const content = contentOf(regions);
    throw imageError('image-no-filesystem', `${named} is not a file system: it holds ${content}`, remedyFor(content));
  }
  return { filesystem, isBlock: await isBlockDevice(image.source) };
}

function remedyFor(content: string): string {
  if (content === 'nothing yet') return 'make a file system in it (mkfs.ext4 FILE), or give it as a --disk';
  if (content.includes('QCOW')) return 'name its format: SOURCE,format=qcow2';
  return 'name an image that is one file system as a whole, or give it as a --disk';
}

async function readRaw({ source }: ImageFile, named: string): Promise<Regions> {
  try {
    await using file = await open(source, 'r');
    const regions = new Map<number, Uint8Array>();
    for (const { at, size } of REGIONS) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(size), 0, size, at);
      regions.set(at, buffer.subarray(0, bytesRead));
    }
    return regions;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw unreadable(named, messageOf(error), error);
  }
}

/** Reads an image that is not raw with qemu-io, so that QEMU interprets the format as it will later. */
async function readThroughQemu({ source, format }: ImageFile, named: string): Promise<Regions> {
  const program = findInPath('qemu-io');
  if (program === undefined) {
    throw imageError(
      'image-tool-missing',
      `${named} is in ${format} format, and there is no qemu-io in PATH to read it`,
      'install it (Debian: qemu-utils; Fedora: qemu-img), or convert the image to raw',
    );
  }
  const { execa } = await import('execa');
  // Given as an option, since a path with a colon would otherwise name a protocol.
  const options = `driver=${format},file.driver=${(await isBlockDevice(source)) ? 'host_device' : 'file'},file.filename=${optionValue(source)}`;
  // --force-share: another QEMU may have the image open. Whether both may use it is decided when the machine starts.
  const read = (at: number, size: number) =>
    execa(program, ['--read-only', '--force-share', '--image-opts', '-c', `read -v ${at} ${size}`, options], {
      reject: false,
      timeout: TIMEOUT,
      stdin: 'ignore',
      env: { LC_ALL: 'C' },
    });
  const regions = new Map<number, Uint8Array>();
  for (const { at, size } of REGIONS) {
    const { stdout, stderr, failed, shortMessage } = await read(at, size);
    if (failed && at === 0) throw unreadable(named, lastLine(stderr) || (shortMessage ?? 'qemu-io failed'));
    // Beyond the image's end qemu-io succeeds and prints nothing.
    regions.set(at, bytesOf(stdout));
  }
  return regions;
}

/** Parses a dump of lines such as `00000410:  00 00 53 ef  ..S.`. */
function bytesOf(dump: string): Uint8Array {
  const bytes = [...dump.matchAll(/^[0-9a-f]{8,}: {2}((?:[0-9a-f]{2} ){1,16})/gm)].flatMap((line) =>
    (line[1] ?? '').trim().split(' '),
  );
  return Uint8Array.from(bytes, (digits) => Number.parseInt(digits, 16));
}

function lastLine(text: string): string {
  return (
    text
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^qemu-io: /, '') ?? ''
  );
}

async function isBlockDevice(path: string): Promise<boolean> {
  return (await stat(path)).isBlockDevice();
}

function unreadable(named: string, why: string, cause?: unknown): SandboxError {
  return imageError(
    'image-unreadable',
    `${named} cannot be read: ${why}`,
    'make it readable for your user, and check that its format is right',
    cause,
  );
}

function imageError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'config', code, message, remedy, cause });
}
