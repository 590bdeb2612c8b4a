/** What of the host a saved machine depends on. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../image/manifest.js';
import type { Connection } from '../../libvirt/connection.js';
import { identityOf } from '../../util/input-log.js';
import { findInPath } from '../../util/programs.js';

/** Where distributions put it. */
const DRIVER_DIRECTORIES = [
  '/usr/lib/x86_64-linux-gnu/libvirt/connection-driver',
  '/usr/lib64/libvirt/connection-driver',
  '/usr/lib/libvirt/connection-driver',
];

/** Enough for the description of one processor. */
const PROCESSOR_BYTES = 8192;

/**
 * Facts by name. A program is known by its file's identity, which changes with every update; so nothing has to be run to ask for a version. The
 * daemon may still be of an older version than its files, so it is asked where there is a connection.
 */
export async function snapshotHost(connection?: Connection): Promise<Record<string, string>> {
  const version = await connection?.version();
  return {
    QEMU: fileFact(findInPath('qemu-system-x86_64') ?? findInPath('qemu-kvm')),
    libvirt: fileFact(driverFile()),
    ...(version === undefined ? {} : { 'the libvirt daemon': String(version) }),
    "the host's processor": processor(),
  };
}

/** The part of libvirt that knows QEMU. */
export function driverFile(): string | undefined {
  return DRIVER_DIRECTORIES.map((directory) => join(directory, 'libvirt_driver_qemu.so')).find((path) =>
    existsSync(path),
  );
}

/** What differs, by name. A fact that only one side has says nothing. */
export function changedFacts(then: Readonly<Record<string, string>>, now: Readonly<Record<string, string>>): string[] {
  return Object.entries(then)
    .filter(([name, fact]) => now[name] !== undefined && now[name] !== fact)
    .map(([name]) => name);
}

function fileFact(path: string | undefined): string {
  return path === undefined ? 'absent' : `${path} ${identityOf(path)}`;
}

/** Model and features of the first processor: a guest counts time by its clock, and under KVM uses its instructions. */
function processor(): string {
  const text = readFileSync('/proc/cpuinfo', 'latin1').slice(0, PROCESSOR_BYTES).split('\n\n')[0] ?? '';
  const lines = text
    .split('\n')
    .filter((line) => /^(?:vendor_id|cpu family|model|model name|stepping|flags)\s*:/.test(line));
  return sha256(lines.join('\n'));
}
