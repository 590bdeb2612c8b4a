/** The facts of the host that a snapshot depends on. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../image/manifest.js';
import type { Connection } from '../../libvirt/connection.js';
import { identityOf } from '../../util/input-log.js';
import { findQemu } from '../../util/programs.js';

/** Where distributions install libvirt's drivers. */
const DRIVER_DIRECTORIES = [
  '/usr/lib/x86_64-linux-gnu/libvirt/connection-driver',
  '/usr/lib64/libvirt/connection-driver',
  '/usr/lib/libvirt/connection-driver',
];

export const PROCESSOR_FACT = "the host's processor";
/** A guest measures time by the rate of the host's counter of cycles, and a snapshot has that in it. */
export const RATE_FACT = "the rate of the host's processor";
/** By how much a rate may differ that is the same: each boot of a host may measure it anew. */
const RATE_DIFFERENCE = 0.005;

/** Enough of /proc/cpuinfo for one processor. */
const PROCESSOR_BYTES = 8192;

/**
 * Facts by name. Programs are identified by their files, which change with every update, so none has to be run. A
 * daemon may still be of an older version than its files, so it is asked if there is a connection.
 */
export async function snapshotHost(connection?: Connection): Promise<Record<string, string>> {
  const version = await connection?.version();
  return {
    QEMU: fileFact(findQemu()),
    libvirt: fileFact(driverFile()),
    ...(version === undefined ? {} : { 'the libvirt daemon': String(version) }),
    [PROCESSOR_FACT]: processor(),
    ...rate(),
  };
}

/** libvirt's QEMU driver. */
export function driverFile(): string | undefined {
  return DRIVER_DIRECTORIES.map((directory) => join(directory, 'libvirt_driver_qemu.so')).find((path) =>
    existsSync(path),
  );
}

/** Names of the facts that differ. A fact that only one side has does not count. */
export function changedFacts(then: Readonly<Record<string, string>>, now: Readonly<Record<string, string>>): string[] {
  return Object.entries(then)
    .filter(([name, fact]) => isChanged(name, fact, now[name]))
    .map(([name]) => name);
}

function isChanged(name: string, then: string, now: string | undefined): boolean {
  if (now === undefined || now === then) return false;
  if (name !== RATE_FACT) return true;
  return !(Math.abs(Number(now) - Number(then)) <= Number(then) * RATE_DIFFERENCE);
}

/** What the kernel says of it, in BogoMIPS: twice the MHz of that counter. None where it says nothing. */
export function rate(): Record<string, string> {
  const [, bogomips] = /^bogomips\s*:\s*([\d.]+)$/m.exec(readFileSync('/proc/cpuinfo', 'latin1')) ?? [];
  return bogomips === undefined ? {} : { [RATE_FACT]: bogomips };
}

/** The rate among these facts, for people; undefined if it is not there. */
export function rateText({ [RATE_FACT]: bogomips }: Readonly<Record<string, string>>): string | undefined {
  return bogomips === undefined
    ? undefined
    : `a counter of ${Math.round(Number(bogomips) / 2)} MHz, within ${RATE_DIFFERENCE * 100} %`;
}

function fileFact(path: string | undefined): string {
  return path === undefined ? 'absent' : `${path} ${identityOf(path)}`;
}

/** Model and features of the first processor: a guest uses its clock and, under KVM, its instructions. */
function processor(): string {
  return sha256(processorLines(readFileSync('/proc/cpuinfo', 'latin1')).join('\n'));
}

/** What tells processors apart. @param cpuinfo /proc/cpuinfo */
export function processorLines(cpuinfo: string): string[] {
  const text = cpuinfo.slice(0, PROCESSOR_BYTES).split('\n\n')[0] ?? '';
  return text.split('\n').filter((line) => /^(?:vendor_id|cpu family|model|model name|stepping|flags)\s*:/.test(line));
}
