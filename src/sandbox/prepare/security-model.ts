/** Which model of mandatory access control the hypervisor has, and what the calling process is confined by. */
import { existsSync } from 'node:fs';
import type { Security } from '../../config/types.js';
import { modelOfCapabilities, type SecurityModel } from '../../domain/security.js';
import type { Connection } from '../../libvirt/connection.js';
import { readIfThere } from '../../util/small-files.js';

const SELINUX = '/sys/fs/selinux/enforce';
const APPARMOR = '/sys/module/apparmor/parameters/enabled';

/**
 * A daemon is asked, but only where there can be something to say: most sandboxes leave the label to the hypervisor, and most hosts that have
 * no model show that in a file. The embedded driver is this host's own.
 */
export async function securityModel(connection: Connection, security: Security): Promise<SecurityModel | undefined> {
  const usual = security.mode === 'dynamic' && security.label === undefined;
  if (connection.capabilities === undefined) return embeddedModel();
  if (usual && !existsSync(SELINUX) && readIfThere(APPARMOR)?.trim() !== 'Y') return undefined;
  return modelOfCapabilities(await connection.capabilities());
}

/**
 * As libvirt's drivers decide: SELinux where its policy is loaded, AppArmor where there is a profile for the program that runs the
 * driver, which for the embedded one hardly anybody has.
 */
function embeddedModel(): SecurityModel | undefined {
  if (existsSync(SELINUX)) return 'selinux';
  const profiles = readIfThere('/sys/kernel/security/apparmor/profiles');
  return profiles !== undefined && /^(libvirtd|\S*\/virt-qemu-run) \(/m.test(profiles) ? 'apparmor' : undefined;
}

/** The label of this process, without AppArmor's mode; undefined where it has none. */
export function callerLabel(): string | undefined {
  const label = readIfThere('/proc/self/attr/current')?.trim().replace(/\0$/, '');
  return label?.replace(/ \((enforce|complain|unconfined|kill|mixed)\)$/, '') || undefined;
}
