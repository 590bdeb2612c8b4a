/** Disk images with file systems, made by the real tools. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { programPaths } from './hide.js';

interface Maker {
  readonly program: string;
  /** In bytes; undefined if the tool makes the file itself. */
  readonly size?: number;
  /** @param content a directory with the file `hello`, for tools that make read-only images */
  readonly args: (image: string, content: string) => readonly string[];
}

const MIB = 1 << 20;

export const IMAGE_MAKERS = {
  ext4: { program: 'mkfs.ext4', size: 16 * MIB, args: (image) => ['-q', image] },
  xfs: { program: 'mkfs.xfs', size: 300 * MIB, args: (image) => ['-q', image] },
  btrfs: { program: 'mkfs.btrfs', size: 120 * MIB, args: (image) => ['-q', image] },
  vfat: { program: 'mkfs.vfat', size: 16 * MIB, args: (image) => [image] },
  squashfs: { program: 'mksquashfs', args: (image, content) => [content, image, '-quiet', '-no-progress'] },
  erofs: { program: 'mkfs.erofs', args: (image, content) => ['--quiet', image, content] },
  iso9660: { program: 'genisoimage', args: (image, content) => ['-quiet', '-R', '-o', image, content] },
} as const satisfies Record<string, Maker>;

export type ImageKind = keyof typeof IMAGE_MAKERS;

/** Read-only file systems: they are made with their content. */
export const FILLED: ReadonlySet<string> = new Set(['squashfs', 'erofs', 'iso9660']);

/** Makes `KIND.img` in `directory`. */
export function makeImage(directory: string, kind: ImageKind): string {
  const { program, size, args }: Maker = IMAGE_MAKERS[kind];
  const image = join(directory, `${kind}.img`);
  const content = join(directory, 'content');
  if (!existsSync(content)) {
    mkdirSync(content);
    writeFileSync(join(content, 'hello'), 'hello\n');
  }
  if (size !== undefined) {
    writeFileSync(image, '');
    truncateSync(image, size);
  }
  execFileSync(programPaths(program)[0] ?? program, args(image, content), { stdio: ['ignore', 'ignore', 'inherit'] });
  return image;
}

/** Makes the raw image `image` of `size` bytes: an ext4 file system with the files of the directory `content`. */
export function ext4Of(content: string, image: string, size = 16 * MIB): string {
  writeFileSync(image, '');
  truncateSync(image, size);
  execFileSync(programPaths('mkfs.ext4')[0] ?? 'mkfs.ext4', ['-q', '-d', content, image]);
  return image;
}

/** A reason to skip, or false if the programs are installed. */
export function unlessProgram(...names: readonly string[]): string | false {
  const missing = names.filter((name) => programPaths(name).length === 0);
  return missing.length === 0 ? false : `${missing.join(' and ')} is not installed`;
}

/** The content of a file in an ext4 image, read by debugfs without a mount. */
export function imageFile(image: string, path: string): string {
  return execFileSync(programPaths('debugfs')[0] ?? 'debugfs', ['-R', `cat ${path}`, image], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

/** A block device of the host; undefined where the host cannot have one. */
export function loopDevice(context: TestContext, file: string): string | undefined {
  try {
    const device = execFileSync('losetup', ['--find', '--show', file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    context.after(() => execFileSync('losetup', ['--detach', device]));
    return device;
  } catch {
    return undefined;
  }
}
