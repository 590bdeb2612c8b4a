/**
 * QEMU's own trace of when it runs the machine and what the firmware reads: `PID@SECONDS.MICROSECONDS:EVENT …`, in the time of day.
 * https://www.qemu.org/docs/master/devel/tracing.html
 */

/** The first that a QEMU with a console comes to is the socket for it. */
const EVENTS = ['qio_channel_socket_new', 'find_ram_offset', 'fw_cfg_select', 'vm_state_notify'];

/** Handed to QEMU so that it writes one. */
export function traceArguments(file: string): string[] {
  return ['-D', file, ...EVENTS.flatMap((event) => ['-trace', `enable=${event}`])];
}

/** Seconds since 1970; undefined for what is not in it. */
export interface QemuLog {
  /** QEMU has read its arguments, and begins to do what they ask for. */
  readonly started: number | undefined;
  /** The guest's memory, the largest block that there is, has its place. */
  readonly memoryMapped: number | undefined;
  /** The machine is being made. */
  readonly machineMade: number | undefined;
  /** The first instruction. */
  readonly running: number | undefined;
  /** The firmware has read the last of the kernel, and jumps into it. */
  readonly kernelEntered: number | undefined;
}

export function parseQemuLog(text: string): QemuLog {
  let started: number | undefined;
  let machineMade: number | undefined;
  let memory: { readonly size: bigint; readonly at: number } | undefined;
  let running: number | undefined;
  let kernelEntered: number | undefined;
  for (const line of text.split('\n')) {
    const found = /^\d+@(\d+\.\d+):(\w+) (.*)$/.exec(line);
    if (!found) continue;
    const [, time, event, rest = ''] = found;
    const at = Number(time);
    started ??= at;
    if (event === 'qio_channel_socket_new') continue;
    if (event === 'find_ram_offset') {
      const size = BigInt(/size: (0x[0-9a-f]+)/.exec(rest)?.[1] ?? 0);
      if (memory === undefined || size > memory.size) memory = { size, at };
      continue;
    }
    machineMade ??= at;
    if (event === 'vm_state_notify' && rest.startsWith('running 1')) running ??= at;
    if (event === 'fw_cfg_select' && running !== undefined) kernelEntered = at;
  }
  return { started, memoryMapped: memory?.at, machineMade, running, kernelEntered };
}
