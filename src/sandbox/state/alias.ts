/**
 * An alias is a second path to a state directory whose own path is too long for sockets, or not ASCII, which
 * virt-qemu-run cannot read. It is a symbolic link in a fresh directory. A link in the state directory points back to
 * it, so both are removed together: here and in init/supervisor/alias.c.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readlinkSync, rmdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { fitsLoop } from '../../libvirt/loop-path.js';
import { checkSocketPath, embeddedSocket, fitsSocket } from '../../libvirt/socket-path.js';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';

/** Where root's state directories are. */
export const ROOT_STATE = '/run/libvirt-sandbox';

/** What of a state directory is for nobody but its owner and root. Others may enter the state directory itself. */
export function closedDirectory(directory: string): string {
  return join(directory, 'closed');
}

/** The path of a disk of a container, in a state directory or by its alias. */
export function loopLink(directory: string, index: number): string {
  return join(closedDirectory(directory), `disk${index}`);
}

/** The link in the state directory that points to the alias. */
const ALIAS = 'alias';

/** What all aliases begin with. XDG_RUNTIME_DIR would not do: the user of a daemon's QEMU may not enter it. */
const prefix = () => (process.getuid?.() === 0 ? `${ROOT_STATE}/.` : '/tmp/vs-');

const aliasAt = (unique: string) => join(`${prefix()}${unique}`, 's');

/**
 * Whether the state directory at `path` needs an alias.
 * @throws {SandboxError} `name-too-long` if the sockets do not fit an alias either
 */
export function needsAlias(path: string, name: string, kind: ConnectionKind): boolean {
  // A container may have an image, and hardly as many as this.
  if (kind === 'lxc' && !fitsLoop(loopLink(path, 999))) return true;
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
    // The link comes first, so the alias is found even if this process is killed before the next line.
    symlinkSync(alias, join(path, ALIAS));
    mkdirSync(directory);
    // QEMU may run as another user, who must be able to enter, whatever the umask.
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

/**
 * Removes the alias of the state directory at `path`. Before that directory gets another path, by which nobody would
 * find the alias again.
 */
export function removeAlias(path: string): void {
  const alias = linkAt(join(path, ALIAS));
  if (alias === undefined) return;
  const target = linkAt(alias);
  // The alias may belong to another sandbox, if making this one failed because it existed.
  if (target !== undefined && target !== path) return;
  rmSync(alias, { force: true });
  try {
    rmdirSync(dirname(alias));
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}

/** The path for the sockets in the state directory at `path`: its alias if it has one. */
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
