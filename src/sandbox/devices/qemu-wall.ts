/**
 * What an ordinary user's QEMU may reach of the host, beside what its guest is given: init/qemu-wall/main.c confines
 * it. Root's QEMUs have users of their own, so only those that own disks are confined, and less. A QEMU of libvirt's
 * user is libvirt's to confine.
 */
import { chmodSync, realpathSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { furtherFile, standsAlone } from '../../disk-image/stands-alone.js';
import type { DiskDevice } from '../../domain/disks.js';
import type { Emulator } from '../../domain/machine.js';
import { isVirtiofs } from '../../domain/shares.js';
import { SNAPSHOT_MEMORY, SNAPSHOT_STATE } from '../../image/snapshot/record.js';
import { allowanceFor, isForbidden } from '../../libvirt/app-armor.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { isSystemError, messageOf, SandboxError, valueOr } from '../../util/errors.js';
import { findQemu, hostProgram, isExecutable } from '../../util/programs.js';
import { readIfThere } from '../../util/small-files.js';
import type { Observers } from '../types.js';
import { emulatorDirectory } from './emulator.js';
import { canEnter } from './home.js';
import type { MachineParts, SavingMachine } from './machine-options.js';
import { OVERLAY_SERIAL } from './overlay.js';
import { refuseFurtherFile } from './overlay-image.js';
import { rootLink } from './root-view.js';
import { ROOT_TAG } from './shares.js';

type Access = 'read' | 'write' | 'read-device' | 'device';

/** The words of init/qemu-wall/rules.h. */
export type Rule =
  | readonly [Access | 'root' | 'report', string]
  | readonly ['read-all' | 'network' | 'metadata' | 'calls-only'];

/** The variable that names the file with the rules. */
const VARIABLE = 'VIRT_SANDBOX_WALL';

/** In the state directory: the rules, and what the kernel could do with them. */
const RULES = 'wall';
const REPORT = 'wall.landlock';

/** The version of Landlock that refuses signals: https://docs.kernel.org/userspace-api/landlock.html */
const SINCE_SIGNALS = 6;

const NO_QEMU = 'there is no qemu-system-x86_64 in PATH, and libvirt looks for one itself';

/** How a person is told. */
const UNCONFINED = 'QEMU can do what its user can';

/** Whether QEMU has the rights of an ordinary user, who starts it. */
export function needsWall(kind: ConnectionKind, uid = process.geteuid?.()): boolean {
  return uid !== 0 && (kind === 'session' || kind === 'embedded');
}

/** What of a machine says whether and how its QEMU is confined. */
export interface WallFacts extends Pick<MachineParts, 'profile'> {
  readonly connection: { readonly kind: ConnectionKind };
  /** The disks of the sandbox. */
  readonly disks: readonly DiskDevice[];
}

/**
 * What libvirt starts as QEMU, which it confines. Says where it does not, or less.
 * @param rules what QEMU may do, in the state directory
 * @returns undefined: QEMU itself
 * @throws {SandboxError} `not-built`, `state-not-writable`
 */
export function confineQemu(
  { connection: { kind }, profile, disks }: WallFacts,
  { stateDirectory, rules }: { readonly stateDirectory: string; readonly rules: () => readonly Rule[] },
  { onChoice, onWarning }: Pick<Observers, 'onChoice' | 'onWarning'>,
): Emulator | undefined {
  if (!needsWall(kind)) return undefined;
  const qemu = findQemu();
  const reason = reasonAgainstWall({ profile }, kind, qemu);
  if (reason !== undefined || qemu === undefined) {
    onChoice?.(`security: ${UNCONFINED}, because ${reason}`);
    return undefined;
  }
  for (const sentence of disksOfMoreFiles(disks)) onWarning?.(sentence);
  return makeWall(stateDirectory, [...treeOf(qemu), ...rules()], qemu);
}

/**
 * The tree that a QEMU outside /usr is installed in, with libraries of its own: /opt/qemu of /opt/qemu/bin/NAME. Not a
 * part of the user's home, which has keys: there init/qemu-wall/system.c allows what is usual.
 */
export function treeOf(qemu: string, home = homedir()): Rule[] {
  const tree = dirname(realpathSync(dirname(qemu)));
  const own = valueOr(() => realpathSync(home), home);
  const isIn = (path: string, directory: string) => `${path}/`.startsWith(`${directory}/`);
  return tree === '/' || isIn(tree, '/usr') || isIn(tree, own) || isIn(own, tree) ? [] : [['read', tree]];
}

/** Writable disks that refer to other files. A QEMU that was taken over may have written that. */
export function disksOfMoreFiles(disks: readonly DiskDevice[]): string[] {
  return disks.flatMap((disk) => {
    const further = disk.readOnly ? undefined : furtherFile(disk);
    if (further === undefined) return [];
    return [
      `QEMU reads all files that you may read, because ${disk.source} refers to ${further}, and whoever writes to ` +
        'that disk may choose what it refers to; see that it is what you meant, or use a disk without',
    ];
  });
}

/**
 * Why QEMU cannot be confined; undefined: it can. Arguments of a profile may name any file.
 * @throws {SandboxError} `not-built`
 */
export function reasonAgainstWall(
  { profile }: Pick<MachineParts, 'profile'>,
  kind: ConnectionKind,
  qemu: string | undefined,
): string | undefined {
  if (profile.qemuArguments?.some((word) => word.includes('/')) === true)
    return 'its profile has arguments for QEMU that name files';
  if (qemu === undefined) return NO_QEMU;
  const program = hostProgram('qemu-wall');
  return isForbidden(program, kind) ? forbidden(program) : undefined;
}

function forbidden(program: string): string {
  return `AppArmor keeps libvirtd from starting ${program}; ${allowanceFor(program)}`;
}

/**
 * What QEMU may do for a sandbox.
 * @throws {SandboxError} `overlay-image-names-file`
 */
export function sandboxRules({ name, image, devices, snapshot, saving }: Omit<MachineParts, 'acceleration'>): Rule[] {
  const { shares, disks, interfaces, shell } = devices;
  // What was one file when it was checked. QEMU must not be let through to another one now.
  for (const { serial, source } of disks) if (serial === OVERLAY_SERIAL) refuseFurtherFile(source);
  const served = shares.filter((share) => !isVirtiofs(share) && share.tag !== ROOT_TAG);
  const hasView = shares.some((share) => share.tag === ROOT_TAG && !isVirtiofs(share));
  return [
    ...(hasView ? [['root', rootLink(name)] as const] : []),
    // A snapshot has the directory that vacant slots have, too.
    ...(snapshot ? [snapshot.directory] : [image.kernel, image.initrd]).map((path) => ['read', path] as const),
    ...(saving ? savingRules(saving) : []),
    ...served.map(({ directory, readOnly }) => [readOnly ? 'read' : 'write', directory] as const),
    ...disks.map(({ source, isBlock, readOnly }) => [accessOf(isBlock, readOnly), source] as const),
    ...(disks.every(standsAlone) ? [] : [['read-all'] as const]),
    ...(served.some(({ readOnly }) => !readOnly) ? [['metadata'] as const] : []),
    // What passt serves comes by a socket that is connected.
    ...(interfaces.some(({ passt }) => passt === undefined) ? ownNetwork() : []),
    ...(shell?.hasConsole ? TERMINALS : []),
  ];
}

/** It writes to two files only, and serves the empty directory. */
function savingRules({ directory }: SavingMachine): Rule[] {
  return [
    ['read', directory],
    ...[SNAPSHOT_MEMORY, SNAPSHOT_STATE].map((file) => ['write', join(directory, file)] as const),
  ];
}

function accessOf(isBlock: boolean, readOnly: boolean): Access {
  if (isBlock) return readOnly ? 'read-device' : 'device';
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
 * Writes the rules of an ordinary user's QEMU, and makes what libvirt starts as QEMU.
 * @throws {SandboxError} `not-built`, `state-not-writable`
 */
export function makeWall(stateDirectory: string, rules: readonly Rule[], qemu: string): Emulator {
  return writeRules(stateDirectory, [['report', join(stateDirectory, REPORT)], ...rules], qemu);
}

/**
 * The same for a QEMU of root's that owns its disks where it finds them. Its guest may take it over, and an owner may
 * change modes: it could write a program into its disk, and have whoever executes that file on the host run as the
 * file's owner there. Of the rest it has no right to anything: it has a user of its own.
 *
 * Call it only without a {@link reasonAgainstOwnerWall}.
 * @throws {SandboxError} `not-built`, `state-not-writable`, `qemu-not-confined`
 */
export function makeOwnerWall(stateDirectory: string): Emulator {
  const qemu = findQemu();
  if (qemu === undefined) throw notConfinedError();
  return writeRules(stateDirectory, [['calls-only']], qemu);
}

/** Why such a QEMU cannot be confined. @returns a sentence without its full stop; undefined: it can */
export function reasonAgainstOwnerWall(kind: ConnectionKind): string | undefined {
  const qemu = findQemu();
  if (qemu === undefined) return NO_QEMU;
  try {
    const directory = emulatorDirectory(qemu);
    const path = join(directory, 'qemu-wall');
    if (!isExecutable(path)) return `${path} cannot be executed`;
    if (!canEnter(directory)) return `QEMU's user may not enter ${directory}`;
    return isForbidden(path, kind) ? forbidden(path) : undefined;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return `what confines QEMU cannot be written: ${messageOf(error)}`;
  }
}

function writeRules(stateDirectory: string, rules: readonly Rule[], qemu: string): Emulator {
  const file = join(stateDirectory, RULES);
  try {
    writeFileSync(file, `${rules.flat().join('\0')}\0`);
    // QEMU's user reads it, whatever the umask.
    chmodSync(file, 0o644);
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
 * What this kernel leaves QEMU, when QEMU has connected to the launcher; undefined: nothing.
 * @throws {SandboxError} `qemu-not-confined`: qemu-wall, which says so before anything is connected, did not run
 */
export function gapsOfWall(stateDirectory: string): string | undefined {
  const report = readIfThere(join(stateDirectory, REPORT)) ?? '';
  if (!/^\d+\n$/.test(report)) throw notConfinedError();
  const version = Number(report);
  if (version === 0) return `${UNCONFINED} with files and processes, because this kernel has no Landlock`;
  if (version < SINCE_SIGNALS) return `QEMU may send signals: Landlock of this kernel is version ${version}`;
  return undefined;
}

function notConfinedError(): SandboxError {
  return new SandboxError({
    stage: 'domain',
    code: 'qemu-not-confined',
    message: `libvirt started another QEMU than ${hostProgram('qemu-wall')}, which would have confined it`,
    remedy: 'see in the log of libvirt what it started, and which hook or setting makes it do so',
  });
}
