/**
 * What serves the root of a machine: a server of its own over virtiofs, or QEMU over 9p. With `auto` it is virtiofs where
 * the host and the kernel have both: programs start and read faster, and a machine starts as soon
 * (docs/decisions/0061-virtiofs-first.md).
 */
import { configError } from '../../config/errors.js';
import type { SandboxConfig } from '../../config/types.js';
import type { SecurityModel } from '../../domain/security.js';
import type { Share } from '../../domain/shares.js';
import type { Connection, ConnectionKind } from '../../libvirt/connection.js';
import type { SandboxError } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { readIfThere } from '../../util/small-files.js';
import { hasQemuUser } from '../state/qemu-user.js';
import { mayFillMemory, mayMakeNamespaces } from './capabilities.js';
import { rootMount } from './mounts.js';
import { startsAhead } from './root-server.js';
import { shareProgram } from './share-server.js';
import { servesReadOnly } from './shares.js';
import { reasonAgainstUserNamespaces } from './user-namespaces.js';

export type RootTransport = Share['transport'];

/** What the choice depends on besides the config. */
export interface RootFacts {
  readonly kind: ConnectionKind;
  /** What confines QEMU on the host; undefined: nothing. */
  readonly model: SecurityModel | undefined;
  /** Where libvirt is connected to, if it is. */
  readonly connection?: Pick<Connection, 'version'> | undefined;
}

/** What is to serve the root. */
export interface RootChoice {
  readonly transport: RootTransport;
  /** Why, as the end of a sentence. */
  readonly reason: string;
  /** What serves it where the first does not; undefined: nothing. */
  readonly other?: RootTransport;
}

/**
 * What serves the root, if the kernel has it.
 * @throws {SandboxError} `root-fs-unavailable`
 */
export async function chooseRoot(config: SandboxConfig, facts: RootFacts): Promise<RootChoice> {
  if (!hasChoice(config, facts)) return { transport: '9p', reason: 'as all that is no directory of the host' };
  if (config.rootFs === '9p') return { transport: '9p', reason: AS_ASKED };
  const obstacle = await virtiofsObstacle(facts);
  if (config.rootFs === 'virtiofs') {
    if (obstacle !== undefined) throw unavailableError(obstacle);
    return { transport: 'virtiofs', reason: AS_ASKED };
  }
  if (obstacle !== undefined) return { transport: '9p', reason: `because ${obstacle.reason}` };
  const drawback = drawbackOfVirtiofs(facts);
  if (drawback !== undefined) return { transport: '9p', reason: `because ${drawback}`, other: 'virtiofs' };
  return { transport: 'virtiofs', reason: 'because programs start and read faster than over 9p', other: '9p' };
}

const AS_ASKED = 'as asked for';

/** Why 9p does better here, where the kernel has it; undefined: it does not. */
function drawbackOfVirtiofs({ model }: RootFacts): string | undefined {
  if (model === 'selinux') return 'over virtiofs libvirtd starts a program that the policy of SELinux may not know';
  if (process.geteuid?.() === 0)
    return mayFillMemory() ? undefined : 'over virtiofs only root with CAP_SYS_PTRACE can restore a snapshot';
  return isNobody() ? "over virtiofs this user's own files would seem to be root's" : undefined;
}

/** libvirt binds the root of a container, and what replaces the root is a mount. */
function hasChoice(config: SandboxConfig, { kind }: RootFacts): boolean {
  return kind !== 'lxc' && config.root.type === 'directory' && rootMount(config) === undefined;
}

interface Obstacle {
  readonly reason: string;
  readonly remedy: string;
}

/** Why nothing can serve the root over virtiofs here; undefined: share-server can. */
async function virtiofsObstacle(facts: RootFacts): Promise<Obstacle | undefined> {
  return process.geteuid?.() === 0 ? obstacleOfRoot(facts) : obstacleOfUser(facts);
}

async function obstacleOfRoot({ kind, model, connection }: RootFacts): Promise<Obstacle | undefined> {
  if (!mayMakeNamespaces())
    return {
      reason: 'the server of a root needs namespaces, and this process has no CAP_SYS_ADMIN',
      remedy: LEAVE_OUT(),
    };
  if (!hasQemuUser(kind)) return { reason: 'this host has no user ids to run a server as', remedy: LEAVE_OUT() };
  if (startsAhead(kind, model)) return undefined;
  if (shareProgram(kind) === undefined)
    return {
      reason: "AppArmor does not let libvirtd start virt-sandbox's server of shares (docs/security.md)",
      remedy: `use qemu:///embed, or ${LEAVE_OUT()}`,
    };
  if (!(await servesReadOnly(connection)))
    return { reason: 'libvirt before 11.0 has no read-only virtiofs', remedy: LEAVE_OUT() };
  return undefined;
}

function obstacleOfUser({ kind, model }: RootFacts): Obstacle | undefined {
  if (kind === 'system')
    return {
      reason: 'libvirt starts a server of files for root only',
      remedy: `use -c qemu:///session or qemu:///embed, or ${LEAVE_OUT()}`,
    };
  if (!startsAhead(kind, model))
    return { reason: `${model} confines QEMU here, which has not been tried with it`, remedy: LEAVE_OUT() };
  const noNamespaces = reasonAgainstUserNamespaces();
  if (noNamespaces !== undefined)
    return {
      reason: noNamespaces,
      remedy: `allow user namespaces on this host (docs/security.md), or ${LEAVE_OUT()}`,
    };
  return undefined;
}

/** Whether this user, or its group, is the one that a user namespace shows for those that it does not have. */
function isNobody(): boolean {
  const number = (name: string) => Number(readIfThere(`/proc/sys/kernel/${name}`) ?? 65_534);
  return process.geteuid?.() === number('overflowuid') || process.getegid?.() === number('overflowgid');
}

const LEAVE_OUT = () => `leave out ${option('rootFs')}`;

function unavailableError({ reason, remedy }: Obstacle): SandboxError {
  return configError('root-fs-unavailable', `the root cannot be served over virtiofs: ${reason}`, remedy);
}
