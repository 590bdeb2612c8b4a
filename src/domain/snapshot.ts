/**
 * QEMU's arguments for the memory of a machine that is saved, or restored from a snapshot.
 *
 * The memory is a file. The machine that is saved writes to it; restored ones map it copy-on-write, which QEMU calls VM
 * templating (https://www.qemu.org/docs/master/system/vm-templating.html). libvirt has no element for such memory.
 */

import { MEMORY_ID } from '../image/snapshot/qemu-memory.js';

export interface SnapshotMemory {
  /** A file, of the size of the machine's memory. */
  readonly path: string;
  /** In bytes, the same as the domain's. */
  readonly size: number;
}

/** For a machine that will be saved. */
export function savedMachineArguments(memory: SnapshotMemory): string[] {
  return memoryArguments(memory, { share: true });
}

/** For a machine that waits for a snapshot's state. */
export function restoredMachineArguments(memory: SnapshotMemory): string[] {
  return [...memoryArguments(memory, { share: false, readonly: true, rom: 'off' }), ...WAITING];
}

/**
 * For a restored machine that shares its memory with virtiofsd, and so needs a copy of its own. The launcher fills the
 * copy before it loads the state.
 * @param size in bytes
 */
export function sharingMachineArguments(size: number): string[] {
  return [...backendArguments({ 'qom-type': SHARED_BACKEND, size, share: true }), ...WAITING];
}

const WAITING = ['-incoming', 'defer'];

const SHARED_BACKEND = 'memory-backend-memfd';

/** Where a descriptor of such memory links to in /proc/PID/fd. */
export const SHARED_MEMORY_LINK = `/memfd:${SHARED_BACKEND} (deleted)`;

function memoryArguments({ path, size }: SnapshotMemory, use: Readonly<Record<string, unknown>>): string[] {
  return backendArguments({ 'qom-type': 'memory-backend-file', size, 'mem-path': path, ...use });
}

function backendArguments(backend: Readonly<Record<string, unknown>>): string[] {
  return ['-object', JSON.stringify({ ...backend, id: MEMORY_ID }), '-machine', `memory-backend=${MEMORY_ID}`];
}
