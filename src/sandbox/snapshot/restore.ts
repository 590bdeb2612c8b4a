/** Giving a machine that waits for it the state of a saved one. */
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { SNAPSHOT_STATE, type Snapshot } from '../../image/snapshot/snapshot.js';
import { Monitor, type MonitorEvent } from '../../libvirt/monitor.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { mark } from '../../util/marks.js';

/** What the two QEMUs must agree on: the memory is no part of the state, since it is a file. */
export const SAVED_CAPABILITIES = ['x-ignore-shared', 'events'];

/** How a saving or a loading ended: the states of QEMU's MigrationStatus that are final. */
const ENDED = new Set(['completed', 'failed', 'cancelled']);

/** A machine whose memory others work on too. */
export interface SharingMachine {
  /** Of its domain. */
  readonly name: string;
  /** Tells the process ID of its QEMU, when that has connected. */
  findQemu(): Promise<number | undefined>;
}

/**
 * Loads the state. Whatever fails here fails before the machine has carried out a single instruction.
 * @param connecting the monitor's socket
 * @param sharing where its memory is a copy that is to be written first
 * @returns the monitor, with which to let it run
 * @throws {SandboxError} `warm-restore-failed`
 */
export async function loadMachine(
  connecting: Promise<Socket> | undefined,
  warm: Snapshot,
  sharing: SharingMachine | undefined,
): Promise<Monitor> {
  if (connecting === undefined) throw new Error('a saved machine has a monitor');
  const monitor = new Monitor(await connecting);
  try {
    // Devices look into the memory when their state is loaded.
    if (sharing) await fill(monitor, warm, sharing);
    const ended = migrationEnd(monitor);
    // Nothing is waited for in between: QEMU takes commands in order.
    await Promise.all([
      ended,
      setCapabilities(monitor),
      monitor.execute('migrate-incoming', { uri: `file:${join(warm.directory, SNAPSHOT_STATE)}` }),
    ]);
    mark('warm.loaded');
    return monitor;
  } catch (error) {
    throw restoreError(warm, error);
  }
}

async function fill(monitor: Monitor, warm: Snapshot, { name, findQemu }: SharingMachine): Promise<void> {
  // Its memory is there when it answers, and libvirt has noted its process before it ran.
  await monitor.answered;
  const pid = await findQemu();
  if (pid === undefined) throw new Error('libvirt has no PID file of its QEMU');
  const { fillMemory } = await import('./memory.js');
  await fillMemory(pid, name, warm);
  mark('warm.filled');
}

/** Settles when a saving or a loading that is begun now has ended well. */
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

/** A machine that did not come to run, whatever it was that failed. */
export function restoreError({ directory }: Snapshot, cause: unknown): SandboxError {
  if (cause instanceof SandboxError && cause.code === 'warm-restore-failed') return cause;
  return new SandboxError({
    stage: 'boot',
    code: 'warm-restore-failed',
    message: `the warm image ${directory} cannot be started from: ${messageOf(cause)}`,
    remedy: 'bake it again with: virt-sandbox-bake create --warm --rebuild; or use --boot cold',
    cause,
  });
}

/** The machine never ran, so that booting one instead runs nothing twice. */
export function isRestoreError(error: unknown): error is SandboxError {
  return error instanceof SandboxError && error.code === 'warm-restore-failed';
}

/** What kept a saved machine from running is a reason to boot one, unless it is none of the saved machine's doing. */
export function reasonToBoot(warm: Snapshot, error: unknown): unknown {
  const others = ['aborted', 'name-in-use', 'boot-timeout', 'state-not-writable', 'name-too-long'];
  return error instanceof SandboxError && others.includes(error.code) ? error : restoreError(warm, error);
}
