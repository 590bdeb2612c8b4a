/**
 * What AppArmor lets a daemon of libvirt start. Its profiles name the programs that libvirt comes with, wherever the
 * daemon runs: that of an ordinary user's session has them, too.
 */
import { join } from 'node:path';
import { readIfThere } from '../util/small-files.js';
import type { ConnectionKind } from './connection.js';
import { runtimeDirectory } from './qemu-process.js';

/** Profiles that are loaded, one a line: `libvirtd (enforce)`. Only root may read it. */
const LOADED = '/sys/kernel/security/apparmor/profiles';

/** libvirt's daemons for QEMU, in its AppArmor profiles. */
const CONFINED = /^(?:\/usr\/sbin\/)?(?:libvirtd|virtqemud) \(enforce\)$/m;

/** What an administrator adds to those profiles. Everybody may read it. */
const ADDITIONS = ['/etc/apparmor.d/local/usr.sbin.libvirtd', '/etc/apparmor.d/local/usr.sbin.virtqemud'];

/** Whether AppArmor keeps the daemon of a connection from starting a program of ours. */
export function isForbidden(program: string, kind: ConnectionKind): boolean {
  if (!CONFINED.test(profilesOf(kind))) return false;
  return !ADDITIONS.some((path) => rulesIn(readIfThere(path) ?? '').some((rule) => rule.includes(program)));
}

function rulesIn(text: string): string[] {
  return text.split('\n').filter((line) => !line.trimStart().startsWith('#'));
}

/** What allows it, for a sentence about it. */
export function allowanceFor(program: string): string {
  return `a line "${program} PUx," in ${ADDITIONS[0]} allows it, when the profile is loaded again`;
}

/** The profiles that a daemon may have. */
function profilesOf(kind: ConnectionKind): string {
  if (kind === 'system') return readIfThere(LOADED) ?? '';
  return kind === 'session' ? sessionProfiles(runtimeDirectory()) : '';
}

/** The profiles of a user's daemons, which are connected to, so that they run. @param proc for tests */
export function sessionProfiles(runtime: string, proc = '/proc'): string {
  return ['libvirtd', 'virtqemud']
    .map((daemon) => Number.parseInt(readIfThere(join(runtime, 'libvirt', `${daemon}.pid`)) ?? '', 10))
    .filter((pid) => pid > 1)
    .map((pid) => labelOf(join(proc, `${pid}/attr`)))
    .join('\n');
}

/** Beside another security module, AppArmor's label has a place of its own. */
function labelOf(attributes: string): string {
  return readIfThere(join(attributes, 'apparmor/current')) ?? readIfThere(join(attributes, 'current')) ?? '';
}
