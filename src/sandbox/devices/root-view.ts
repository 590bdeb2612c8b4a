/**
 * The view: what QEMU serves as the root. It has the real file systems of the host, and none of the kernel's. It is
 * mounted where only this sandbox's libvirt and QEMU see it, by init/root-view/main.c.
 */

import { readFileSync, readlinkSync, realpathSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { hasOwnHome } from '../../config/home.js';
import { covers } from '../../config/path.js';
import { rootDirectoryOf } from '../../config/root.js';
import { SECRETS } from '../../config/secrets.js';
import type { SandboxConfig } from '../../config/types.js';
import type { SecurityModel } from '../../domain/security.js';
import { defaultStoreDirectory } from '../../image/resolve.js';
import { type ConnectionKind, URI } from '../../libvirt/connection.js';
import { smallCpuMap } from '../../libvirt/cpu-map.js';
import { machineSocket } from '../../libvirt/daemon-sockets.js';
import { SandboxError, valueOr } from '../../util/errors.js';
import { type OptionKey, option } from '../../util/option-names.js';
import { hostProgram } from '../../util/programs.js';
import { stateBase } from '../state/state-directory.js';
import { hiddenInContainer, hiddenPaths, homesOf, pathBelow, placesOfHomes, storesBelow } from './hidden-paths.js';
import { mountPointsBelow } from './host-mounts.js';

/** Directories of the host that show the kernel, or what is for a moment: sockets, temporary files. */
const HOSTS_OWN = ['/dev', '/proc', '/run', '/sys', '/tmp'];

/** Where root's views are mounted. It is no state directory, so nobody removes it with what is mounted there. */
const POINT = '.view';

/** A directory that every host has. Nothing else needs it in the mount namespace of a user's view. */
const USERS_POINT = '/dev';

/** A warning. docs/security.md says why it may be so. */
export const ALL_IS_SEEN =
  "the sandbox sees all of the host's files that its user may read, also /proc and keys: this host allows no view of " +
  'them (docs/security.md)';

/** A link in the state directory that leads to the view. */
export function rootLink(name: string): string {
  return join(stateBase(), name, 'root');
}

/**
 * The directory that is served as the root: the link, or where AppArmor confines QEMU the view itself. libvirt makes the
 * profile of the path that it is given, and AppArmor sees the path that a link leads to.
 */
export function rootDirectory(name: string, kind: ConnectionKind, model: SecurityModel | undefined): string {
  const point = model === 'apparmor' ? viewPoint(name, kind) : undefined;
  return point === undefined || point === USERS_POINT ? rootLink(name) : join(point, 'root');
}

export interface ViewFacts {
  readonly name: string;
  readonly kind: ConnectionKind;
  /** What {@link rootDirectory} says; undefined: the root is something else, and there is no view. */
  readonly directory: string | undefined;
  /** Words for the disks beside the view: `OwnDisks`. */
  readonly disks: readonly string[];
  /** Words for what serves the view: `serverWords`. */
  readonly server: readonly string[];
  /** QEMU itself needs a network, since no other process serves all interfaces. */
  readonly hasNetwork: boolean;
}

/**
 * The command that makes the view and the link to it, and the disks beside it, and executes the command behind it.
 * @returns undefined if no user may have a view there: QEMU runs as libvirt's user
 */
export function viewCommand(
  config: SandboxConfig,
  { name, kind, directory, disks, server, hasNetwork }: ViewFacts,
): string[] | undefined {
  const where = pointOf(name, kind);
  if (where === undefined) return undefined;
  return [
    hostProgram('root-view'),
    ...where,
    ...(where[0] === '--private' ? driverWords(hasNetwork) : []),
    ...server,
    ...disks,
    // Only the link can lead elsewhere, disks are nowhere else, and a server must not have more than the view.
    ...(needsView(config) || directory !== rootLink(name) || server.length + disks.length > 0 ? [] : ['--or-all']),
    ...(directory === undefined ? ['--no-root'] : rootWords(config, name)),
  ];
}

/** What else the driver has of its own, which is the command. */
function driverWords(hasNetwork: boolean): string[] {
  const map = smallCpuMap(join(dirname(defaultStoreDirectory()), 'libvirt'));
  return [...(hasNetwork ? [] : ['--no-network']), ...(map === undefined ? [] : ['--replace', map.whole, map.small])];
}

/** What the view shows and hides, the link to it, and the directory that it is of. */
function rootWords(config: SandboxConfig, name: string): string[] {
  const source = realpathSync(rootDirectoryOf(config));
  // Read once: a mount that is in one list is in the other too.
  const table = readFileSync('/proc/self/mountinfo', 'utf8');
  const hidden = [...new Set(hiddenBelow(source, config, placesOfHomes(config, table)))];
  const mounts = mountPointsBelow(source, table).filter(
    ({ path }) => !hidden.some((above) => covers(`/${above}`, `/${path}`)),
  );
  return [
    // Where everything is there from the start, what is the kernel's has to be hidden. Elsewhere it is not shown, and
    // what it covers must not be either.
    ...mounts.flatMap(({ path, isKernels }) => [isKernels ? '--hide' : '--show', path]),
    ...hidden.flatMap((path) => ['--hide', path]),
    rootLink(name),
    source,
  ];
}

/** Where the view is mounted; undefined where no user may have one. */
export function viewPoint(name: string, kind: ConnectionKind): string | undefined {
  return pointOf(name, kind)?.at(-1);
}

/**
 * What a sandbox sees empty of its root, as absolute paths inside: what a machine's view hides, and what a container
 * covers.
 */
export function unseenPaths(config: SandboxConfig, platform: 'machine' | 'container'): string[] {
  if (config.root.type === 'image') return [];
  const { path } = config.root;
  const source = valueOr(() => realpathSync(path), path);
  if (platform === 'machine') return [...new Set(hiddenBelow(source, config))].map((path) => `/${path}`);
  return [...HOSTS_OWN, ...hiddenInContainer(config)];
}

/**
 * What the root must not show, relative to it.
 * @param homes as {@link hiddenPaths} has them
 */
function hiddenBelow(source: string, config: SandboxConfig, homes?: readonly string[]): string[] {
  // Also where the root is another directory of the host.
  const secrets =
    config.hidden.secrets && source !== '/'
      ? [...homesOf(config.identity.home)].flatMap((home) => SECRETS.map((name) => join(home, name)))
      : [];
  return [
    ...HOSTS_OWN.filter((path) => covers(source, path)).map((path) => relative(source, path)),
    ...storesBelow(source, config),
    ...secrets.flatMap((path) => pathBelow(source, path)),
    ...imageBelow(source, config),
    ...hiddenPaths(config, homes).map((path) => path.replace(/^\/+/, '')),
  ].filter((path) => path !== '');
}

/** Words for where the view is mounted of a command that this process starts. */
export function ownPoint(): [string, string] {
  return process.geteuid?.() === 0 ? ['--private', join(stateBase(), POINT)] : ['--user', USERS_POINT];
}

function pointOf(name: string, kind: ConnectionKind): [string, ...string[]] | undefined {
  switch (kind) {
    case 'embedded':
      return ownPoint();
    case 'session':
      return ['--user', USERS_POINT];
    case 'system':
      if (process.geteuid?.() !== 0) return undefined;
      return ['--daemon', machineSocket() ?? 'missing', join(stateBase(), POINT, name)];
    default:
      return undefined;
  }
}

/**
 * The image that keeps the overlay: QEMU may read it, so a guest without any capability could, with what is in it of
 * other users.
 */
function imageBelow(source: string, { overlay }: SandboxConfig): string[] {
  return overlay?.type === 'image' ? pathBelow(source, overlay.path) : [];
}

/** Whether a sandbox must not start without a view. */
function needsView(config: SandboxConfig): boolean {
  return causesOf(config).length > 0;
}

/**
 * Lets the link lead to the root itself, where no user may have a view.
 * @throws {SandboxError} `root-view-impossible` if the sandbox must have one
 */
export function linkToAll(config: SandboxConfig, { name, kind }: Pick<ViewFacts, 'name' | 'kind'>): void {
  if (needsView(config)) {
    throw viewError(config, `QEMU runs as another user over ${URI[kind]}`, 'use -c qemu:///session or qemu:///embed');
  }
  symlinkSync(realpathSync(rootDirectoryOf(config)), rootLink(name));
}

/** Whether no view could be made, so that the sandbox sees all of the root. */
export function seesAll(config: SandboxConfig, name: string): boolean {
  // It may have ended by now.
  return valueOr(() => readlinkSync(rootLink(name)) === realpathSync(rootDirectoryOf(config)), false);
}

function causesOf(config: SandboxConfig): OptionKey[] {
  // Nothing of the host is in it.
  if (config.root.type === 'image') return [];
  return [
    ...(config.privileged === true ? (['privileged'] as const) : []),
    ...(config.hidden.paths.length > 0 ? (['hidden'] as const) : []),
    ...(hasOwnHome(config) ? (['home'] as const) : []),
    ...(imageBelow(realpathSync(config.root.path), config).length > 0 ? (['overlay'] as const) : []),
  ];
}

/** @param reason a sentence without its full stop */
export function viewError(config: SandboxConfig, reason: string, remedy?: string): SandboxError {
  const cause = causesOf(config).map((key) => option(key));
  return new SandboxError({
    stage: 'domain',
    code: 'root-view-impossible',
    message: `the host's processes and other private files cannot be hidden from the sandbox: ${reason}`,
    remedy: `${remedy ?? 'allow user namespaces on this host (docs/security.md)'}, or leave out ${cause.join(' and ')}`,
  });
}
