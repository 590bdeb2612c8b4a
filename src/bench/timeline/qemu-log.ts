/**
 * QEMU's own trace: when it makes and runs the machine, and what the firmware reads. Lines are
 * `PID@SECONDS.MICROSECONDS:EVENT …`, in time of day. https://www.qemu.org/docs/master/devel/tracing.html
 */

/** A QEMU with a console begins with the console's socket. */
const EVENTS = ['qio_channel_socket_new', 'find_ram_offset', 'fw_cfg_select', 'vm_state_notify'];

/** Arguments that make QEMU write the trace to `file`. */
export function traceArguments(file: string): string[] {
  return ['-D', file, ...EVENTS.flatMap((event) => ['-trace', `enable=${event}`])];
}

/** Times in seconds since 1970; undefined if the trace has no such event. */
export interface QemuLog {
  /** QEMU has read its arguments, and begins to act on them. */
  readonly started: number | undefined;
  /** The guest's memory, the largest block, is mapped. */
  readonly memoryMapped: number | undefined;
  /** QEMU makes the machine. */
  readonly machineMade: number | undefined;
  /** The guest's first instruction. */
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
