/** The program that runs virtiofsd with less than libvirt gives it: init/share-server/main.c. */
import { allowanceFor, isForbidden } from '../../libvirt/app-armor.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { hostProgram, isExecutable } from '../../util/programs.js';

/** Where share-server looks for it: init/share-server/arguments.c */
const VIRTIOFSD = [
  ...['/usr/libexec/virtiofsd', '/usr/lib/virtiofsd', '/usr/lib/qemu/virtiofsd'],
  ...['/usr/local/libexec/virtiofsd', '/usr/bin/virtiofsd'],
];

/** Path of virtiofsd; undefined: there is none. */
export function findVirtiofsd(): string | undefined {
  return VIRTIOFSD.find(isExecutable);
}

/**
 * Path of the program, or undefined if libvirt could not start it: a daemon that AppArmor confines starts virtiofsd and
 * no other server of shares.
 * @throws {SandboxError} `not-built`
 */
export function shareProgram(kind: ConnectionKind): string | undefined {
  const program = hostProgram('share-server');
  return kind === 'system' && isForbidden(program, kind) ? undefined : program;
}

/** For a person whose AppArmor keeps libvirt from starting the program. */
export function withoutShareProgram(): string {
  const program = hostProgram('share-server');
  return (
    `shares: virtiofsd has namespaces and capabilities of its own only if libvirtd may start ${program}; ` +
    `AppArmor forbids it, and ${allowanceFor(program)}`
  );
}
