/**
 * QEMU's own trace of when it runs the machine and what the firmware reads: `PID@SECONDS.MICROSECONDS:EVENT …`, in the time of day.
 * https://www.qemu.org/docs/master/devel/tracing.html
 */

/** Handed to QEMU so that it writes one. */
export function traceArguments(file: string): string[] {
  return ['-D', file, ...['vm_state_notify', 'fw_cfg_select'].flatMap((event) => ['-trace', `enable=${event}`])];
}

/** Seconds since 1970; undefined for what is not in it. */
export interface QemuLog {
  /** The machine is being made. */
  readonly machineMade: number | undefined;
  /** The first instruction. */
  readonly running: number | undefined;
  /** The firmware has read the last of the kernel, and jumps into it. */
  readonly kernelEntered: number | undefined;
}

export function parseQemuLog(text: string): QemuLog {
  let machineMade: number | undefined;
  let running: number | undefined;
  let kernelEntered: number | undefined;
  for (const line of text.split('\n')) {
    const found = /^\d+@(\d+\.\d+):(\w+) (.*)$/.exec(line);
    if (!found) continue;
    const [, time, event, rest = ''] = found;
    const at = Number(time);
    machineMade ??= at;
    if (event === 'vm_state_notify' && rest.startsWith('running 1')) running ??= at;
    if (event === 'fw_cfg_select' && running !== undefined) kernelEntered = at;
  }
  return { machineMade, running, kernelEntered };
}
