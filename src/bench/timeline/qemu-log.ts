/**
 * QEMU's own trace: when it makes and runs the machine, and what the firmware reads. Lines are
 * `PID@SECONDS.MICROSECONDS:EVENT …`, in time of day. https://www.qemu.org/docs/master/devel/tracing.html
 */

/** A QEMU with a console begins with the console's socket. */
const EVENTS = ['qio_channel_socket_new', 'find_ram_offset', 'fw_cfg_select', 'vm_state_notify'];

/** Arguments that make QEMU write its log to `file`, which has nothing in it but for errors. */
export function logArguments(file: string): string[] {
  return ['-D', file];
}

/** Arguments that make QEMU write the trace to `file`. */
export function traceArguments(file: string): string[] {
  return [...logArguments(file), ...EVENTS.flatMap((event) => ['-trace', `enable=${event}`])];
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
  const events = eventsIn(text);
  const blocks = events.filter(({ name }) => name === 'find_ram_offset');
  const runs = events.findIndex(({ name, rest }) => name === 'vm_state_notify' && rest.startsWith('running 1'));
  const reads = runs < 0 ? [] : events.slice(runs).filter(({ name }) => name === 'fw_cfg_select');
  return {
    started: events[0]?.at,
    memoryMapped: largestOf(blocks)?.at,
    machineMade: events.find(({ name }) => name !== 'qio_channel_socket_new' && name !== 'find_ram_offset')?.at,
    running: events[runs]?.at,
    kernelEntered: reads.at(-1)?.at,
  };
}

interface QemuEvent {
  /** Seconds since 1970. */
  readonly at: number;
  readonly name: string;
  readonly rest: string;
}

function eventsIn(text: string): QemuEvent[] {
  return text.split('\n').flatMap((line) => {
    const [, time, name = '', rest = ''] = /^\d+@(\d+\.\d+):(\w+) (.*)$/.exec(line) ?? [];
    return time === undefined ? [] : [{ at: Number(time), name, rest }];
  });
}

/** The first of the largest blocks. */
function largestOf(blocks: readonly QemuEvent[]): QemuEvent | undefined {
  const sizeOf = ({ rest }: QemuEvent) => BigInt(/size: (0x[0-9a-f]+)/.exec(rest)?.[1] ?? 0);
  return blocks.reduce<QemuEvent | undefined>(
    (largest, block) => (largest === undefined || sizeOf(block) > sizeOf(largest) ? block : largest),
    undefined,
  );
}
