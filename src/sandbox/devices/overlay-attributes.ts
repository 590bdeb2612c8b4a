/** Extended attributes of the layers that a directory keeps, which Node.js neither reads nor writes: xattr(7) */
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import type { OverlayKind } from './overlay-record.js';

/** How share-server has virtiofsd name a guest's: init/share-server/layers.h */
const PREFIX = 'user.virtiofs.';

/** Whether the overlay's directory with this descriptor hides that of the root: its attribute. */
export type IsOpaque = (fd: number) => boolean;

/** @param kind of the sandboxes: the host's kernel names the attributes of containers as they are */
export function opaqueByAttribute(kind: OverlayKind = 'machine'): IsOpaque {
  const fgetxattr = libc().func('intptr_t fgetxattr(int fd, const char *name, _Out_ uint8_t *value, size_t size)');
  const name = opaqueName(kind);
  return (fd) => {
    const value = Buffer.alloc(1);
    return fgetxattr(fd, name, value, value.length) === 1 && value.toString() === 'y';
  };
}

/**
 * Makes a directory of the overlay, by its descriptor, hide that of the root.
 * @throws {Error} if its file system has no such attributes, or no room
 */
export type MakeOpaque = (fd: number) => void;

export function opaqueMaker(kind: OverlayKind): MakeOpaque {
  const fsetxattr = libc().func('int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)');
  const name = opaqueName(kind);
  return (fd) => {
    if (fsetxattr(fd, name, Buffer.from('y'), 1, 0) === 0) return;
    throwIfFull('fsetxattr');
    throw new Error(`its file system has no extended attributes (${attributesOf(kind)}.*)`);
  };
}

/** The namespace of the attributes that the layers need. */
export function attributesOf(kind: OverlayKind): 'trusted' | 'user' {
  return kind === 'machine' ? 'user' : 'trusted';
}

/**
 * Whether the file system of a directory has the attributes that the layers need; none stays there.
 * @throws the error of a system call: it has no room
 */
export function takesAttributes(directory: string, kind: OverlayKind = 'machine'): boolean {
  const library = libc();
  const name = kind === 'machine' ? `${PREFIX}user.virt-sandbox` : 'trusted.overlay.virt-sandbox';
  const setxattr = library.func(
    'int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)',
  );
  if (setxattr(directory, name, Buffer.from('y'), 1, 0) !== 0) {
    throwIfFull('setxattr', directory);
    return false;
  }
  library.func('int removexattr(const char *path, const char *name)')(directory, name);
  return true;
}

/** As Node.js has errors of system calls. */
function throwIfFull(syscall: string, path?: string): void {
  const errno = koffi().errno();
  const code = [constants.errno.ENOSPC, constants.errno.EDQUOT].includes(errno) ? 'ENOSPC' : undefined;
  if (code === undefined) return;
  const at = path === undefined ? '' : ` '${path}'`;
  throw Object.assign(new Error(`${code}: no space left on device, ${syscall}${at}`), {
    code,
    errno: -errno,
    syscall,
    path,
  });
}

function opaqueName(kind: OverlayKind): string {
  return `${kind === 'machine' ? PREFIX : ''}trusted.overlay.opaque`;
}

function libc() {
  return koffi().load('libc.so.6');
}

/** Loaded where it is used: few starts have such an overlay. */
function koffi() {
  return createRequire(import.meta.url)('koffi') as typeof import('koffi');
}
