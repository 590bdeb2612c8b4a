/** What serves the root of a machine: QEMU over 9p, or a server of its own over virtiofs. */
import { configError } from '../../config/errors.js';
import type { SandboxConfig } from '../../config/types.js';
import type { SecurityModel } from '../../domain/security.js';
import type { Share } from '../../domain/shares.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import type { SandboxError } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { hasQemuUser } from '../state/qemu-user.js';
import { mayMakeNamespaces } from './capabilities.js';
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
}

/**
 * What serves the root, if the kernel has it. `auto` takes 9p where kernel and host have both: it needs no other process,
 * and starts sooner (docs/decisions/0047).
 * @throws {SandboxError} `root-fs-unavailable`
 */
export async function wantedRoot(config: SandboxConfig, facts: RootFacts): Promise<RootTransport> {
  if (config.rootFs !== 'virtiofs' || !hasChoice(config, facts)) return '9p';
  const obstacle = await virtiofsObstacle(facts);
  if (obstacle !== undefined) throw unavailableError(obstacle);
  return 'virtiofs';
}

/** What serves the root where the kernel has no 9p; undefined: nothing. */
export async function otherRoot(config: SandboxConfig, facts: RootFacts): Promise<RootTransport | undefined> {
  if (config.rootFs !== 'auto' || !hasChoice(config, facts)) return undefined;
  return (await virtiofsObstacle(facts)) === undefined ? 'virtiofs' : undefined;
}

/** libvirt binds the root of a container, and what replaces the root is a mount. */
function hasChoice(config: SandboxConfig, { kind }: RootFacts): boolean {
  return kind !== 'lxc' && rootMount(config) === undefined;
}

interface Obstacle {
  readonly reason: string;
  readonly remedy: string;
}

/** Why nothing can serve the root over virtiofs here; undefined: share-server can. */
async function virtiofsObstacle(facts: RootFacts): Promise<Obstacle | undefined> {
  return process.geteuid?.() === 0 ? obstacleOfRoot(facts) : obstacleOfUser(facts);
}

async function obstacleOfRoot({ kind, model }: RootFacts): Promise<Obstacle | undefined> {
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
  if (!(await servesReadOnly()))
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

const LEAVE_OUT = () => `leave out ${option('rootFs')}`;

function unavailableError({ reason, remedy }: Obstacle): SandboxError {
  return configError('root-fs-unavailable', `the root cannot be served over virtiofs: ${reason}`, remedy);
}
