/**
 * The root of the emulated machine: an ext4 image with a copy of the host's programs. So what serves files in there finds
 * a file system on a disk, as on most hosts, and not one that the host serves in turn.
 */
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Links to directories in /usr are copied; what is a directory is copied with all that is on its file system. */
const COPIED = ['bin', 'boot', 'etc', 'lib', 'lib32', 'lib64', 'libx32', 'sbin', 'usr'];
const EMPTY = ['dev', 'mnt', 'proc', 'root', 'run', 'srv', 'sys', 'tmp', 'var/cache', 'var/lib/libvirt', 'var/log'];
/** What is free in the image, in KiB: for the files of the rows, and what they make. */
const FREE_KIB = 4 << 20;
/** What a file system needs itself, as a part of its files: inodes, and ends of blocks. */
const OVERHEAD = 1.25;

/** The directories of the host that the image has a copy of. */
export function copiedDirectories(
  isDirectory = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true,
  node = process.execPath,
): string[] {
  const usual = COPIED.map((name) => `/${name}`).filter(isDirectory);
  // The directory above bin, which has npm as well.
  const prefix = dirname(dirname(node));
  return prefix === '/' || usual.some((path) => `${prefix}/`.startsWith(`${path}/`)) ? usual : [...usual, prefix];
}

/**
 * Makes the image. It is sparse, and takes as much of the host's disk as the host's /usr does.
 * @param scratch a directory for it
 * @param directories what it has, where they are on the host
 * @returns its path
 * @throws {Error} if there is not enough space, or no mkfs.ext4
 */
export function makeRoot(scratch: string, directories = copiedDirectories()): string {
  const [image, stage] = [join(scratch, 'root.img'), join(scratch, 'root')];
  const said = execFileSync('du', ['-xsk', '-c', ...directories], { encoding: 'utf8' });
  const used = Number(/^(\d+)\ttotal$/m.exec(said)?.[1]) * OVERHEAD;
  const { bavail, bsize } = statfsSync(scratch);
  const [needed, available] = [Math.ceil((used + FREE_KIB) / 1024), Math.floor((bavail * bsize) / 2 ** 20)];
  if (!(needed <= available)) {
    throw new Error(
      `the emulated machine needs a copy of ${directories.join(', ')}: ${needed} MiB in ${dirname(scratch)}, which has ` +
        `${available} MiB free; free some`,
    );
  }
  for (const name of EMPTY) mkdirSync(join(stage, name), { recursive: true });
  mkdirSync(join(stage, 'var/tmp'));
  const words = ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', SCRIPT, 'sh'];
  const [program = '', ...rest] = [...words, stage, image, `${needed}M`, ...directories];
  execFileSync(program, rest, { stdio: ['ignore', 'ignore', 'inherit'] });
  return image;
}

/** In a mount namespace: what is to be copied is mounted below one directory, which mkfs copies. */
const SCRIPT = `
stage=$1 image=$2 size=$3
shift 3
for name in ${COPIED.join(' ')}; do
  [ ! -L "/$name" ] || cp -a "/$name" "$stage"
done
for directory in "$@"; do
  mkdir -p "$stage$directory"
  mount --bind "$directory" "$stage$directory"
done
umask 077
truncate -s "$size" "$image"
PATH=$PATH:/usr/sbin:/sbin
# Nothing is left for the guest's kernel to do in the background.
mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 -d "$stage" "$image"
`;
