/**
 * A machine that is saved, or goes on from where one was saved.
 *
 * Its memory is a file. The machine that is saved writes to it; those that go on map it copy on write, which QEMU calls a template
 * (https://www.qemu.org/docs/master/system/vm-templating.html). libvirt has no element for such a memory.
 */

import { isRecord } from '../util/records.js';

/** Of QEMU's object; it is in the saved state. */
const MEMORY_ID = 'warm-memory';

export interface SnapshotMemory {
  /** A file, of the size of the machine's memory. */
  readonly path: string;
  /** In bytes; as the domain has it. */
  readonly size: number;
}

/** For the machine that is to be saved. */
export function savedMachineArguments(memory: SnapshotMemory): string[] {
  return memoryArguments(memory, { share: true });
}

/** For a machine that waits for its state. */
export function restoredMachineArguments(memory: SnapshotMemory): string[] {
  return [...memoryArguments(memory, { share: false, readonly: true, rom: 'off' }), ...WAITING];
}

/**
 * For one whose memory others work on too, and which therefore has a copy of its own. Whoever loads the state writes that before.
 * @param size in bytes
 */
export function sharingMachineArguments(size: number): string[] {
  return [...backendArguments({ 'qom-type': SHARED_BACKEND, size, share: true }), ...WAITING];
}

const WAITING = ['-incoming', 'defer'];

const SHARED_BACKEND = 'memory-backend-memfd';

/** What /proc says that a descriptor of such a memory is. */
export const SHARED_MEMORY_LINK = `/memfd:${SHARED_BACKEND} (deleted)`;

function memoryArguments({ path, size }: SnapshotMemory, use: Readonly<Record<string, unknown>>): string[] {
  return backendArguments({ 'qom-type': 'memory-backend-file', size, 'mem-path': path, ...use });
}

function backendArguments(backend: Readonly<Record<string, unknown>>): string[] {
  return ['-object', JSON.stringify({ ...backend, id: MEMORY_ID }), '-machine', `memory-backend=${MEMORY_ID}`];
}

/** The path of the memory that an argument of QEMU is about, if that is one of those above. */
export function savedMemoryIn(argument: string): string | undefined {
  if (!argument.startsWith('{') || !argument.includes(MEMORY_ID)) return undefined;
  let backend: unknown;
  try {
    backend = JSON.parse(argument);
  } catch {
    // An argument of some other program.
    return undefined;
  }
  const path = isRecord(backend) && backend['id'] === MEMORY_ID ? backend['mem-path'] : undefined;
  return typeof path === 'string' ? path : undefined;
}
