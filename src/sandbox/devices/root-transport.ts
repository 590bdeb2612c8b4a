/** What serves the root of a machine: QEMU over 9p, or a virtiofsd of its own. */
import { lchownSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { configError } from '../../config/errors.js';
import type { SandboxConfig } from '../../config/types.js';
import type { Share } from '../../domain/shares.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { hostProgram, isExecutable } from '../../util/programs.js';
import { hasQemuUser, rootServerUser } from '../state/qemu-user.js';
import { stateBase } from '../state/state-directory.js';
import { mayMakeNamespaces } from './capabilities.js';
import { rootMount } from './mounts.js';
import { shareProgram } from './share-server.js';
import { servesReadOnly } from './shares.js';

export type RootTransport = Share['transport'];

/** Names of the link by which share-server knows that it serves a root, as the link's owner: init/share-server/user.h */
const LINK = 'root-server';
const FLAT_LINK = 'flat-root-server';

/**
 * The program that libvirt starts for the root of the sandbox `name`.
 * @param isFlat it does not tell which directories are mount points, so that the root can have an overlay
 */
export function rootServer(name: string, isFlat: boolean): string {
  return join(stateBase(), name, isFlat ? FLAT_LINK : LINK);
}

/**
 * Makes that program a link, of the user whom the server of the root runs as, if virtiofs serves it. It is not QEMU's:
 * a QEMU that its guest has taken over could have the server do what is forbidden to QEMU.
 * @throws {SandboxError} `state-not-writable`
 */
export function makeRootServer(root: Share | undefined, stateDirectory: string): void {
  if (root?.transport !== 'virtiofs' || root.program === undefined) return;
  const user = rootServerUser(stateDirectory);
  if (user === undefined) throw new Error('virtiofs serves the root only where there are users for it');
  try {
    symlinkSync(hostProgram('share-server'), root.program);
    lchownSync(root.program, user.uid, user.gid);
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
 * What serves the root, if the kernel has it. 9p needs no other process, and starts sooner.
 * @throws {SandboxError} `root-fs-unavailable`
 */
export async function wantedRoot(config: SandboxConfig, kind: ConnectionKind): Promise<RootTransport> {
  if (config.rootFs !== 'virtiofs' || !hasChoice(config, kind)) return '9p';
  const obstacle = await virtiofsObstacle(kind);
  if (obstacle !== undefined) throw unavailableError(obstacle);
  return 'virtiofs';
}

/** What serves the root where the kernel has not what {@link wantedRoot} says; undefined: nothing. */
export async function otherRoot(config: SandboxConfig, kind: ConnectionKind): Promise<RootTransport | undefined> {
  if (config.rootFs !== 'auto' || !hasChoice(config, kind)) return undefined;
  return (await virtiofsObstacle(kind)) === undefined ? 'virtiofs' : undefined;
}

/** libvirt binds the root of a container, and what replaces the root is a mount. */
function hasChoice(config: SandboxConfig, kind: ConnectionKind): boolean {
  return kind !== 'lxc' && rootMount(config) === undefined;
}

/** Where share-server looks for it: init/share-server/arguments.c */
const VIRTIOFSD = [
  ...['/usr/libexec/virtiofsd', '/usr/lib/virtiofsd', '/usr/lib/qemu/virtiofsd'],
  ...['/usr/local/libexec/virtiofsd', '/usr/bin/virtiofsd'],
];

interface Obstacle {
  readonly reason: string;
  readonly remedy: string;
}

/** Why no virtiofsd can serve the root here; undefined: one can. */
async function virtiofsObstacle(kind: ConnectionKind): Promise<Obstacle | undefined> {
  if (process.geteuid?.() !== 0)
    return { reason: 'libvirt starts a virtiofsd for root only', remedy: `start it as root, or ${LEAVE_OUT()}` };
  if (!mayMakeNamespaces())
    return {
      reason: 'the virtiofsd of a root needs namespaces, and this process has no CAP_SYS_ADMIN',
      remedy: LEAVE_OUT(),
    };
  if (!hasQemuUser(kind)) return { reason: 'this host has no user ids to run a virtiofsd as', remedy: LEAVE_OUT() };
  if (!VIRTIOFSD.some(isExecutable))
    return { reason: 'there is no virtiofsd', remedy: `install it (Debian: virtiofsd), or ${LEAVE_OUT()}` };
  if (shareProgram(kind) === undefined)
    return {
      reason: "AppArmor does not let libvirtd start virt-sandbox's server of shares (docs/security.md)",
      remedy: `use qemu:///embed, or ${LEAVE_OUT()}`,
    };
  if (!(await servesReadOnly()))
    return { reason: 'libvirt before 11.0 has no read-only virtiofs', remedy: LEAVE_OUT() };
  return undefined;
}

const LEAVE_OUT = () => `leave out ${option('rootFs')}`;

function unavailableError({ reason, remedy }: Obstacle): SandboxError {
  return configError('root-fs-unavailable', `the root cannot be served over virtiofs: ${reason}`, remedy);
}
