/**
 * A second name for a state directory whose path is too long for the sockets in it, or not ASCII, which virt-qemu-run cannot read: a link in a
 * fresh directory. A link in the state directory says where it is, so that whoever removes the one removes the other: init/host/alias.c.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { checkSocketPath, embeddedSocket, fitsSocket } from '../../libvirt/socket-path.js';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';

/** Where root's state directories are. */
export const ROOT_STATE = '/run/libvirt-sandbox';

/** The link in the state directory. */
const ALIAS = 'alias';

/** What all aliases begin with. Not XDG_RUNTIME_DIR for ordinary users: the user of a daemon's QEMU may not pass there. */
const prefix = () => (process.getuid?.() === 0 ? `${ROOT_STATE}/.` : '/tmp/vs-');

const aliasAt = (unique: string) => join(`${prefix()}${unique}`, 's');

/**
 * Whether the state directory at `path` cannot be used by its own path.
 * @throws {SandboxError} `name-too-long` when an alias would not do either
 */
export function needsAlias(path: string, name: string, kind: ConnectionKind): boolean {
  const embedded = kind === 'embedded';
  const socket = embedded ? embeddedSocket(name) : 'shell/sessions';
  if (fitsSocket(join(path, socket)) && !(embedded && /[^\0-\x7f]/.test(path))) return false;
  checkSocketPath(aliasAt('XXXXXX'), socket, name);
  return true;
}

/**
 * Makes the alias of the state directory at `path`.
 * @throws {SandboxError} `state-not-writable`
 */
export function makeAlias(path: string): string {
  const alias = aliasAt(randomBytes(4).toString('base64url'));
  const directory = dirname(alias);
  try {
    // First, so that it is known at whatever moment this process is killed.
    symlinkSync(alias, join(path, ALIAS));
    mkdirSync(directory);
    // QEMU may run as another user, who must pass. Whatever the umask is.
    chmodSync(directory, 0o711);
    symlinkSync(path, alias);
    return alias;
  } catch (error) {
    throw new SandboxError({
      stage: 'config',
      code: 'state-not-writable',
      message: `${directory}, for a path to ${path} that sockets have room for, cannot be made: ${messageOf(error)}`,
      remedy: `make ${dirname(directory)} a directory that you can write to, or choose a shorter --name`,
      cause: error,
    });
  }
}

/** Removes the alias of the state directory that was at `path` and is at `now`. */
export function removeAlias(path: string, now: string): void {
  const alias = linkAt(join(now, ALIAS));
  // It may be another's: then it was there when this one was to be made.
  if (alias !== undefined && linkAt(alias) === path) rmSync(dirname(alias), { recursive: true, force: true });
}

/** The path by which the sockets in the state directory at `path` can be reached: its alias, where it has one. */
export function socketDirectory(path: string): string {
  return linkAt(join(path, ALIAS)) ?? path;
}

function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}
