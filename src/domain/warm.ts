/**
 * A machine that is saved, or goes on from where one was saved.
 *
 * Its memory is a file. The machine that is saved writes to it; those that go on map it copy on write, which QEMU calls a template
 * (https://www.qemu.org/docs/master/system/vm-templating.html). libvirt has no element for such a memory, nor for a second monitor.
 */

/** Of QEMU's objects; the memory's is in the saved state. */
const MEMORY_ID = 'warm-memory';
const MONITOR_ID = 'warm-monitor';

export interface WarmMemory {
  /** A file, of the size of the machine's memory. */
  readonly path: string;
  /** In bytes; as the domain has it. */
  readonly size: number;
}

/** For the machine that is to be saved. */
export function savedMachineArguments(memory: WarmMemory, monitorSocket: string): string[] {
  return [...memoryArguments(memory, { share: true }), ...monitorArguments(monitorSocket)];
}

/** For a machine that waits for its state. */
export function restoredMachineArguments(memory: WarmMemory, monitorSocket: string): string[] {
  return [
    ...memoryArguments(memory, { share: false, readonly: true, rom: 'off' }),
    ...monitorArguments(monitorSocket),
    '-incoming',
    'defer',
  ];
}

function memoryArguments({ path, size }: WarmMemory, use: Readonly<Record<string, unknown>>): string[] {
  const backend = { 'qom-type': 'memory-backend-file', id: MEMORY_ID, size, 'mem-path': path, ...use };
  return ['-object', JSON.stringify(backend), '-machine', `memory-backend=${MEMORY_ID}`];
}

function monitorArguments(socket: string): string[] {
  // A comma in a path is written twice: QEMU's manual, "Option values".
  const path = socket.replaceAll(',', ',,');
  return ['-chardev', `socket,id=${MONITOR_ID},path=${path}`, '-mon', `chardev=${MONITOR_ID},mode=control`];
}
