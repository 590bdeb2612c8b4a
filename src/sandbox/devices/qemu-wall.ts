/**
 * What an ordinary user's QEMU may reach of the host, beside what its guest is given: init/qemu-wall/main.c confines
 * it. Root's QEMUs have users of their own, and a QEMU of libvirt's user is libvirt's to confine.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { standsAlone } from '../../disk-image/stands-alone.js';
import type { Emulator } from '../../domain/machine.js';
import { isVirtiofs } from '../../domain/shares.js';
import { defaultStoreDirectory } from '../../image/resolve.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError, messageOf, SandboxError, valueOr } from '../../util/errors.js';
import { findInPath, hostProgram } from '../../util/programs.js';
import { readIfThere } from '../../util/small-files.js';
import type { MachineParts } from './machine-options.js';
import { rootLink } from './root-view.js';
import { ROOT_TAG } from './shares.js';

/** The words of init/qemu-wall/rules.h. */
export type Rule =
  | readonly ['read' | 'write' | 'device' | 'root' | 'report', string]
  | readonly ['read-all' | 'network' | 'metadata'];

/** The variable that names the file with the rules. */
const VARIABLE = 'VIRT_SANDBOX_WALL';

/** In the state directory: the rules, and what the kernel could do with them. */
const RULES = 'wall';
const REPORT = 'wall.landlock';

/** The version of Landlock that refuses signals: https://docs.kernel.org/userspace-api/landlock.html */
const SINCE_SIGNALS = 6;

/** Whether QEMU has the rights of an ordinary user, who starts it. */
export function needsWall(kind: ConnectionKind): boolean {
  return process.geteuid?.() !== 0 && (kind === 'session' || kind === 'embedded');
}

/** Why QEMU cannot be confined; undefined: it can. Arguments of a profile may name any file. */
export function reasonAgainstWall({ profile }: Pick<MachineParts, 'profile'>): string | undefined {
  return profile.qemuArguments?.some((word) => word.includes('/')) === true
    ? 'its profile has arguments for QEMU that name files'
    : undefined;
}

/** What QEMU may do for a sandbox. */
export function sandboxRules({ name, image, devices, snapshot }: Omit<MachineParts, 'acceleration'>): Rule[] {
  const { shares, disks, interfaces, shell } = devices;
  const served = shares.filter((share) => !isVirtiofs(share) && share.tag !== ROOT_TAG);
  const hasView = shares.some(({ tag }) => tag === ROOT_TAG);
  return [
    ...(hasView ? [['root', rootLink(name)] as const] : []),
    // A snapshot has the directory that vacant slots have, too.
    ...(snapshot ? [snapshot.directory] : [image.kernel, image.initrd]).map((path) => ['read', path] as const),
    ...served.map(({ directory, readOnly }) => [readOnly ? 'read' : 'write', directory] as const),
    ...disks.map(({ source, isBlock, readOnly }) => [accessOf(isBlock, readOnly), source] as const),
    ...(disks.every(standsAlone) ? [] : [['read-all'] as const]),
    ...(served.some(({ readOnly }) => !readOnly) ? [['metadata'] as const] : []),
    // What passt serves comes by a socket that is connected.
    ...(interfaces.some(({ passt }) => passt === undefined) ? ownNetwork() : []),
    ...(shell?.hasConsole ? TERMINALS : []),
  ];
}

function accessOf(isBlock: boolean, readOnly: boolean): 'read' | 'write' | 'device' {
  if (isBlock) return 'device';
  return readOnly ? 'read' : 'write';
}

/** QEMU opens the other side of a terminal too, among those of the user. */
const TERMINALS: readonly Rule[] = [
  ['device', '/dev/ptmx'],
  ['device', '/dev/pts'],
];

/** QEMU may read it anyway. */
const RESOLVER = '/etc/resolv.conf';

/** User networking without passt, which looks for name servers where the host's file leads. */
function ownNetwork(): Rule[] {
  const resolver = valueOr(() => realpathSync(RESOLVER), RESOLVER);
  // Where it is another file, that is replaced when the host's network changes.
  return [['network'], ...(resolver === RESOLVER ? [] : [['read', dirname(resolver)] as const])];
}

/**
 * Writes the rules, and makes what libvirt starts as QEMU.
 * @returns undefined if there is no QEMU, which libvirt will say
 * @throws {SandboxError} `not-built`, `state-not-writable`
 */
export function makeWall(stateDirectory: string, rules: readonly Rule[]): Emulator | undefined {
  const qemu = findInPath('qemu-system-x86_64') ?? findInPath('qemu-kvm');
  if (qemu === undefined) return undefined;
  const all: readonly Rule[] = [['report', join(stateDirectory, REPORT)], ...rules];
  const file = join(stateDirectory, RULES);
  try {
    writeFileSync(file, `${all.flat().join('\0')}\0`);
    return { path: join(emulatorDirectory(qemu), 'qemu-wall'), environment: { [VARIABLE]: file } };
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw new SandboxError({
      stage: 'domain',
      code: 'state-not-writable',
      message: `what confines QEMU cannot be written: ${messageOf(error)}`,
      remedy: 'free space there, or make it writable for your user',
      cause: error,
    });
  }
}

/**
 * The directory with links to the program and to QEMU. libvirt finds out what a QEMU can do when its path is new to it,
 * so each version of QEMU has another directory. It stays, since that takes libvirt a second.
 */
function emulatorDirectory(qemu: string): string {
  const program = hostProgram('qemu-wall');
  const real = realpathSync(qemu);
  const { ctimeNs, ino, size } = statSync(real, { bigint: true });
  const key = createHash('sha256').update([program, real, ctimeNs, ino, size].join('\0')).digest('hex').slice(0, 16);
  const base = join(dirname(defaultStoreDirectory()), 'qemu');
  const directory = join(base, key);
  if (existsSync(directory)) return directory;
  makeDirectories(base);
  const fresh = mkdtempSync(join(base, '.new-'));
  symlinkSync(program, join(fresh, 'qemu-wall'));
  symlinkSync(real, join(fresh, 'qemu'));
  try {
    renameSync(fresh, directory);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    // Another process was faster.
    if (!isSystemError(error, 'ENOTEMPTY') && !isSystemError(error, 'EEXIST')) throw error;
  }
  return directory;
}

/** What this kernel leaves QEMU, when QEMU runs; undefined: nothing, or it did not start. */
export function gapsOfWall(stateDirectory: string): string | undefined {
  const version = Number(readIfThere(join(stateDirectory, REPORT)) ?? Number.NaN);
  if (version === 0) return 'QEMU may read and write the files of its user, because this kernel has no Landlock';
  if (version < SINCE_SIGNALS) return `QEMU may send signals: Landlock of this kernel is version ${version}`;
  return undefined;
}
