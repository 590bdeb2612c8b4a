/**
 * Writes the state of a service with tar(1): all names, owners, modes, times, extended attributes, access lists, hard
 * links, holes, whiteouts and pipes. A guest has made what is written: no link in it is followed, and in a mount of its
 * own the kernel refuses to follow one that is put in the way meanwhile.
 */
import { basename, dirname } from 'node:path';
import { isBound } from '../../sandbox/devices/overlay-bound.js';
import { type KeptOverlay, MOUNTS } from '../../sandbox/devices/overlay-directory.js';
import { upperLayers } from '../../sandbox/devices/overlay-layers.js';
import { IMAGE, LAYERS } from './manifest.js';

const TAR = [
  'tar',
  '--create',
  '--file=-',
  '--format=posix',
  '--pax-option=delete=atime,delete=ctime',
  '--numeric-owner',
  '--sparse',
  '--no-unquote',
  // A socket is nothing without who listens there.
  '--warning=no-file-ignored',
];

/** mount(8), in a mount namespace of its own. */
const UNFOLLOWED = 'mount "$2" -o nosymfollow,nodev,nosuid -- "$1" "$1" && cd -- "$1" && shift 2 && exec "$@"';

/** The command that writes the layers of a directory. It takes root. */
export function writeLayers(kept: KeptOverlay): string[] {
  const attributes = ['--xattrs', '--xattrs-include=*', '--acls'];
  const ways = upperLayers(kept.layers, kept.kind).map(({ way }) => way);
  // What is beside the upper layers is overlayfs's own, which it makes anew.
  const members = ways.flatMap((way) => [
    ...(way.length > 1 ? ['--no-recursion', `${LAYERS}/${way.slice(0, -1).join('/')}`] : []),
    '--recursion',
    `${LAYERS}/${way.join('/')}`,
  ]);
  const above = ['--no-recursion', LAYERS, ...(kept.kind === 'machine' ? [] : [`${LAYERS}/${MOUNTS}`])];
  const tar = [...TAR, ...attributes, ...above, ...members];
  return inMount(kept.directory, tar);
}

/** A command that runs in a directory, of which no link is followed, no device opened, no program another's. */
export function inMount(directory: string, command: readonly string[]): string[] {
  // What bounds a state is mounted so itself.
  const bind = isBound(directory) ? '--rbind' : '--bind';
  const shell = ['sh', '-c', UNFOLLOWED, 'sh', directory, bind, ...command];
  return ['unshare', '--mount', '--propagation', 'private', '--', ...shell];
}

/** The command that writes an image. */
export function writeImage(path: string): string[] {
  return [...TAR, `--transform=flags=rSH;s,.*,${IMAGE},`, `--directory=${dirname(path)}`, '--', basename(path)];
}
