/** The program that runs virtiofsd with less than libvirt gives it: init/share-server/main.c. */
import type { ConnectionKind } from '../../libvirt/connection.js';
import { hostProgram } from '../../util/programs.js';
import { readIfThere } from '../../util/small-files.js';

/** Profiles that are loaded, one a line: `libvirtd (enforce)`. Only root may read it. */
const LOADED = '/sys/kernel/security/apparmor/profiles';

/** libvirt's daemons for QEMU, in its AppArmor profiles. */
const CONFINED = /^(?:\/usr\/sbin\/)?(?:libvirtd|virtqemud) \(enforce\)$/m;

/** What an administrator adds to those profiles. */
const ADDITIONS = ['/etc/apparmor.d/local/usr.sbin.libvirtd', '/etc/apparmor.d/local/usr.sbin.virtqemud'];

/**
 * Path of the program, or undefined if libvirt could not start it: a daemon that AppArmor confines starts virtiofsd and
 * no other server of shares.
 * @throws {SandboxError} `not-built`
 */
export function shareProgram(kind: ConnectionKind): string | undefined {
  const program = hostProgram('share-server');
  if (kind !== 'system' || !CONFINED.test(readIfThere(LOADED) ?? '')) return program;
  return ADDITIONS.some((path) => readIfThere(path)?.includes(program)) ? program : undefined;
}

/** For a person whose AppArmor keeps libvirt from starting the program. */
export function withoutShareProgram(): string {
  return (
    `shares: virtiofsd has namespaces and capabilities of its own only if libvirtd may start ${hostProgram('share-server')}; ` +
    `AppArmor forbids it, and ${ADDITIONS[0]} with that path and " PUx," allows it`
  );
}
