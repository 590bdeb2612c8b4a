/**
 * What serves the root of a machine over virtiofs: init/share-server/main.c. root-view starts it beside libvirt
 * (init/root-view/server.h), or libvirt does.
 */
import { lchownSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { SandboxConfig } from '../../config/types.js';
import type { SecurityModel } from '../../domain/security.js';
import type { Share } from '../../domain/shares.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { messageOf, SandboxError, valueOr } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { hostProgram } from '../../util/programs.js';
import { rootServerUser } from '../state/qemu-user.js';
import { stateBase } from '../state/state-directory.js';

/** Names of the link by which share-server knows that it serves a root, as the link's owner: init/share-server/user.h */
const LINK = 'root-server';
const FLAT_LINK = 'flat-root-server';
const SAVED_LINK = 'saved-root-server';

/** Where root-view has it listen, in the state directory. */
const SOCKET = 'rootfs';

/**
 * Whether root-view starts the server. It does so while libvirt prepares QEMU, and for users for whom libvirt starts
 * none. A daemon of root's moves the server that it starts to the control group of the domain, and what confines QEMU
 * knows a socket that libvirt makes.
 */
export function startsAhead(kind: ConnectionKind, model: SecurityModel | undefined): boolean {
  return model === undefined && (kind === 'embedded' || kind === 'session');
}

/**
 * The server of the root of the sandbox `name`, for its share.
 * @param isFlat it does not tell which directories are mount points, so that the root can have an overlay
 */
export function rootServer(name: string, options: RootServerOptions): Pick<Share, 'program' | 'socket'> {
  return rootServerIn(join(stateBase(), name), options);
}

interface RootServerOptions {
  readonly isFlat: boolean;
  readonly isAhead: boolean;
}

/** The server of a root whose files are in this directory. */
export function rootServerIn(
  directory: string,
  { isFlat, isAhead }: RootServerOptions,
): Pick<Share, 'program' | 'socket'> {
  const at = (file: string) => join(directory, file);
  return { program: at(isFlat ? FLAT_LINK : LINK), ...(isAhead ? { socket: at(SOCKET) } : {}) };
}

/** The same root, for a machine that is saved: init/share-server/vhost/device.h */
export function savedRoot(root: Share): Share {
  if (root.program === undefined) throw new Error('virtiofs serves a root that is saved');
  return { ...root, program: join(dirname(root.program), SAVED_LINK) };
}

/** The same shares with the sockets by a path that is short enough. @param sockets of the state directory */
export function withSockets(shares: readonly Share[], sockets: string): Share[] {
  return shares.map((share) =>
    share.socket === undefined ? share : { ...share, socket: join(sockets, basename(share.socket)) },
  );
}

/**
 * Makes the server's program a link, of the user whom it runs as, if virtiofs serves the root. For root that is not
 * QEMU's: a QEMU that its guest has taken over could have the server do what is forbidden to QEMU. For an ordinary user
 * it is this one, in namespaces where there is nothing but the view.
 * @throws {SandboxError} `state-not-writable`
 */
export function makeRootServer(root: Share | undefined, stateDirectory: string): void {
  if (root?.transport !== 'virtiofs' || root.program === undefined) return;
  const user = rootServerUser(stateDirectory);
  if (user === undefined && process.geteuid?.() === 0)
    throw new Error('virtiofs serves the root only where there are users for it');
  try {
    symlinkSync(hostProgram('share-server'), root.program);
    if (user !== undefined) lchownSync(root.program, user.uid, user.gid);
  } catch (error) {
    throw linkError(root.program, error);
  }
}

function linkError(path: string, cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'domain',
    code: 'state-not-writable',
    message: `the server of the root cannot be linked at ${path}: ${messageOf(cause)}`,
    remedy: 'free some space there',
    cause,
  });
}

/**
 * Words for root-view to start the server.
 * @param sockets of the state directory
 * @param client QEMU's user; undefined: this one
 */
export function serverWords(root: Share | undefined, sockets: string, client: number | undefined): string[] {
  if (root?.program === undefined || root.socket === undefined) return [];
  const [{ socket = '' } = {}] = withSockets([root], sockets);
  return ['--serve', root.program, socket, `${client ?? process.geteuid?.()}`, root.cache ?? 'auto'];
}

/** What qemu-wall and QEMU say where nothing listens, or what listened is gone. */
const UNSERVED = new RegExp(`${SOCKET}\\b|vhost`);

/** libvirt's words for a server of a directory that it has started, or tried to. It takes each for a virtiofsd. */
const OF_LIBVIRT = /virtiofsd/i;

/** Where libvirt starts the root's server, and nothing else serves a directory. */
function libvirtsWords(root: Share, shares: readonly Share[], { message }: SandboxError): string | undefined {
  const others = shares.filter((share) => share !== root && share.transport === 'virtiofs');
  if (root.program === undefined || root.socket !== undefined || others.length > 0) return undefined;
  return OF_LIBVIRT.test(message)
    ? `${message}; its own messages are in libvirt's log NAME-fs0-virtiofsd.log`
    : undefined;
}

/** The words of a server that root-view has started, if QEMU or its wall did not find it. */
function aheadWords(root: Share, { message }: SandboxError): string | undefined {
  return UNSERVED.test(message) ? aheadServer(root)?.lastWords() : undefined;
}

/**
 * The error of a start that failed since the server of the root did; undefined: it is another one.
 * @param shares all that the sandbox has
 * @param rootFs what was asked for. With `auto` it is served over 9p then, where the kernel has that.
 */
export function serverError(
  root: Share | undefined,
  shares: readonly Share[],
  error: unknown,
  rootFs: SandboxConfig['rootFs'],
): SandboxError | undefined {
  if (root === undefined || !(error instanceof SandboxError)) return undefined;
  const words = aheadWords(root, error) ?? libvirtsWords(root, shares, error);
  if (words === undefined) return undefined;
  return new SandboxError({
    stage: 'domain',
    code: 'root-server-failed',
    message: `the root cannot be served over virtiofs: ${words}`,
    remedy:
      rootFs === 'auto'
        ? `use a kernel, or an image, that has the 9p file system (${option('kernel.version')}, ${option('image')})`
        : `use ${option('rootFs', '9p')}`,
    cause: error,
  });
}

/** A server that root-view has started. */
export interface AheadServer {
  /** Its process ID; undefined: not yet. */
  pid(): number | undefined;
  /** The last error that it has written; undefined: none. */
  lastWords(): string | undefined;
}

/** How an error begins of the server, and of what starts it. */
const ERROR = /^(?:share-server|root-view): /;

/** The server of a share; undefined: libvirt starts it. */
export function aheadServer({ program, socket }: Share): AheadServer | undefined {
  if (program === undefined || socket === undefined) return undefined;
  const read = (ending: string) => valueOr(() => readFileSync(`${program}${ending}`, 'utf8'), '').trim();
  return {
    pid: () => {
      const pid = Number.parseInt(read('.pid'), 10);
      return pid > 1 ? pid : undefined;
    },
    lastWords: () =>
      read('.log')
        .split('\n')
        .findLast((line) => ERROR.test(line)),
  };
}
