/** Loads a snapshot's state into a machine that waits for it. */

import type { Socket } from 'node:net';
import { join } from 'node:path';
import { SNAPSHOT_STATE, type Snapshot } from '../../image/snapshot/record.js';
import { Monitor, type MonitorEvent } from '../../libvirt/monitor.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { mark } from '../../util/marks.js';
import { option } from '../../util/option-names.js';
import { isRecord } from '../../util/records.js';
import { type Shortage, shortageOf } from '../../util/shortage.js';

/** Migration capabilities for saving and loading. The memory is a file, so it is no part of the state. */
export const SAVED_CAPABILITIES = ['x-ignore-shared', 'events'];

/** The final states of QEMU's MigrationStatus. */
const ENDED = new Set(['completed', 'failed', 'cancelled']);

/** Codes of a snapshot that cannot be restored, and of a host that lacks what every start needs. */
const FAILED = 'warm-restore-failed';
const EXHAUSTED = 'host-exhausted';

/** A machine that shares its memory with virtiofsd. */
export interface SharingMachine {
  /** The domain's name. */
  readonly name: string;
  /** Process ID of its QEMU. Call it when QEMU has connected. */
  findQemu(): Promise<number | undefined>;
}

/**
 * Loads the state. If it fails, the machine has executed nothing.
 * @param connecting the monitor's socket
 * @param sharing set if the machine's memory is a copy, which must be filled first
 * @param reads whether it has images only to read that others may write to
 * @returns the monitor, to let the machine run
 * @throws {SandboxError} `warm-restore-failed`, `host-exhausted`
 */
export async function loadMachine(
  connecting: Promise<Socket> | undefined,
  snapshot: Snapshot,
  sharing: SharingMachine | undefined,
  reads = false,
): Promise<Monitor> {
  if (connecting === undefined) throw new Error('a machine that restores a snapshot has a monitor');
  // Loaded while libvirt starts QEMU.
  const filling = sharing && import('./memory.js');
  const monitor = new Monitor(await connecting);
  try {
    // Memory first: devices read it when their state is loaded.
    if (sharing && filling) await fill(monitor, snapshot, sharing, await filling);
    const ended = migrationEnd(monitor);
    // QEMU carries out commands in order, so send all at once.
    await Promise.all([
      ended,
      setCapabilities(monitor),
      // libvirt may have let it run already. QEMU would do so when the state is loaded, and not refuse an image that it
      // may read while another QEMU writes to it: at that moment it asks for the lock too late.
      monitor.execute('stop'),
      monitor.execute('migrate-incoming', { uri: `file:${join(snapshot.directory, SNAPSHOT_STATE)}` }),
    ]);
    // libvirt lets it run at the end of its own start, for which QEMU takes the disks when the state is loaded. If it
    // does not get them, QEMU 10 stays in this state for ever, and answers that all is well to who lets it run again.
    const status = await monitor.execute('query-status');
    const state = isRecord(status) ? status['status'] : undefined;
    if (state === 'inmigrate') throw new Error(UNTAKEN);
    // libvirt's order came behind `stop`, and before the state was loaded.
    if (reads && state === 'running' && !(await hasLocks(monitor))) throw new Error(UNTAKEN);
    mark('warm.loaded');
    return monitor;
  } catch (error) {
    throw restoreError(snapshot, error);
  }
}

async function fill(
  { answered }: Monitor,
  snapshot: Snapshot,
  { name, findQemu }: SharingMachine,
  { fillMemory }: typeof import('./memory.js'),
): Promise<void> {
  // It is connected. libvirt wrote the PID file before it ran.
  const pid = await findQemu();
  if (pid === undefined) throw new Error('libvirt has no PID file of its QEMU');
  await fillMemory({ pid, name, answered }, snapshot);
  await answered;
  mark('warm.filled');
}

/**
 * Whether QEMU has all locks of a machine that runs. A QEMU that begins to run as its state is loaded does not fail if
 * another one writes to an image: it only writes to its log that it does not get the lock (blk_vm_state_changed in
 * block/block-backend.c). A lock of this kind keeps writers out, so no disk may let others write.
 */
async function hasLocks(monitor: Monitor): Promise<boolean> {
  const graph = await monitor.execute('x-debug-query-block-graph');
  const [nodes, edges] = isRecord(graph) ? [recordsIn(graph['nodes']), recordsIn(graph['edges'])] : [[], []];
  const disks = new Set(nodes.filter(({ type }) => type === 'block-backend').map(({ id }) => id));
  const ofDisks = edges.filter(({ parent }) => disks.has(parent));
  // QEMU has one for each disk. None at all is an answer of another form.
  return ofDisks.length > 0 && ofDisks.every(({ 'shared-perm': shared }) => !letsWrite(shared));
}

function recordsIn(list: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(list) ? (list as unknown[]).filter(isRecord) : [];
}

/** @param shared names of what others may do */
function letsWrite(shared: unknown): boolean {
  return !Array.isArray(shared) || shared.includes('write');
}

const UNTAKEN = 'QEMU did not get its disks, which another program may write to';

/** Resolves when the migration that begins now has completed, and rejects if it fails. */
export async function migrationEnd(monitor: Monitor): Promise<void> {
  const status = ({ data }: MonitorEvent) => String(data['status']);
  const end = await monitor.next((event) => event.name === 'MIGRATION' && ENDED.has(status(event)));
  if (status(end) !== 'completed') throw new Error(`QEMU says that it ${status(end)}`);
}

export async function setCapabilities(monitor: Monitor): Promise<void> {
  await monitor.execute('migrate-set-capabilities', {
    capabilities: SAVED_CAPABILITIES.map((capability) => ({ capability, state: true })),
  });
}

const bakeAgain = () =>
  `bake it again with: virt-sandbox-bake create --warm --rebuild; or use ${option('boot', 'cold')}`;

/** Remedies where the snapshot is not to blame. A new one would lack the same. */
const REMEDIES: Readonly<Record<Shortage, () => string>> = {
  files: () => 'raise the limit of open files: ulimit -n 1024',
  space: () => 'free some space: sandboxes keep sockets and logs in /run, or in your home and /run/user',
  memory: () => `free some memory on the host, or ask for less with ${option('memory')}`,
};

/** What libvirt, the monitor and the channel say of a QEMU that ended and said nothing. */
const SILENT_END =
  /QEMU has ended|monitor broke|closed the monitor|exited while connecting|gave no reason|without its exit status/;
const QEMU_SAID = /qemu-system-\w+: /;

/** The error of a snapshot that cannot be restored. */
export function restoreError({ directory }: Snapshot, cause: unknown): SandboxError {
  if (cause instanceof SandboxError && [FAILED, EXHAUSTED].includes(cause.code)) return cause;
  const reason = messageOf(cause);
  const shortage = shortageOf(cause);
  return new SandboxError({
    stage: 'boot',
    code: shortage === undefined ? FAILED : EXHAUSTED,
    message: `the snapshot ${directory} cannot be started from: ${reason}`,
    remedy: shortage === undefined ? remedyFor(reason) : REMEDIES[shortage](),
    cause,
  });
}

function remedyFor(reason: string): string {
  if (reason === UNTAKEN) return `end what uses them; ${option('boot', 'cold')} says which disk it is`;
  if (!SILENT_END.test(reason) || QEMU_SAID.test(reason)) return bakeAgain();
  return `see if the host killed QEMU for lack of memory (dmesg): free some then, or ask for less with ${option('memory')}; else ${bakeAgain()}`;
}

/** Whether the machine executed nothing, so another may be started instead. */
export function isRestoreError(error: unknown): error is SandboxError {
  return error instanceof SandboxError && [FAILED, EXHAUSTED].includes(error.code);
}

/** Whether another snapshot would fail too. A machine that boots takes less of the host. */
export function isExhausted(error: SandboxError): boolean {
  return error.code === EXHAUSTED;
}

/** Failures that every start has. */
const OTHERS = [
  ...['aborted', 'name-in-use', 'boot-timeout', 'state-not-writable', 'name-too-long'],
  ...['root-view-impossible', 'root-server-failed', 'disks-not-owned', 'qemu-not-confined'],
];

/** Makes a failure before the machine ran a reason to boot, unless the snapshot has nothing to do with it. */
export function reasonToBoot(snapshot: Snapshot, error: unknown): unknown {
  const isOther = error instanceof SandboxError && (OTHERS.includes(error.code) || shortageOf(error) !== undefined);
  return isOther ? error : restoreError(snapshot, error);
}
