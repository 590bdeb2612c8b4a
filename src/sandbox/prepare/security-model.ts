/** Finds the hypervisor's model of mandatory access control, and the label of the calling process. */
import type { Security } from '../../config/types.js';
import { modelOfCapabilities, type SecurityModel } from '../../domain/security.js';
import type { Connection } from '../../libvirt/connection.js';
import { embeddedModel } from '../../libvirt/driver-cleanup.js';
import { hasSelinux } from '../../util/selinux.js';
import { readIfThere } from '../../util/small-files.js';

const APPARMOR = '/sys/module/apparmor/parameters/enabled';

/**
 * The model; undefined: none. A daemon is asked only if it matters: most sandboxes leave the label to the hypervisor,
 * and most hosts show in a file that they have no model. The embedded driver has the model of this host.
 */
export async function securityModel(connection: Connection, security: Security): Promise<SecurityModel | undefined> {
  const usual = security.mode === 'dynamic' && security.label === undefined;
  if (connection.capabilities === undefined) return embeddedModel();
  if (usual && !hasSelinux() && readIfThere(APPARMOR)?.trim() !== 'Y') return undefined;
  return modelOfCapabilities(await connection.capabilities());
}

/** The label of this process, without AppArmor's mode; undefined: none. */
export function callerLabel(): string | undefined {
  const label = readIfThere('/proc/self/attr/current')?.trim().replace(/\0$/, '');
  return label?.replace(/ \((enforce|complain|unconfined|kill|mixed)\)$/, '') || undefined;
}
