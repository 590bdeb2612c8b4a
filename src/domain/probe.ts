/**
 * Whether QEMU runs a guest with an accelerator, told by a guest: a kernel alone, which has nothing that it could mount or start. It must come
 * as far as saying so.
 */
import { kernelCommandLine } from './cmdline.js';

export interface Probe {
  readonly accelerator: 'kvm' | 'tcg';
  /** The path of a QEMU. */
  readonly emulator: string;
  /** The path of a kernel image. */
  readonly kernel: string;
  /** How long the guest may take, in milliseconds. */
  readonly limit: number;
}

export interface Verdict {
  readonly usable: boolean;
  /** Why, as part of a sentence. */
  readonly reason: string;
}

/** The panic of a kernel that has found no init: it has booted. */
const BOOTED = /No working init found|Attempted to kill init|Unable to mount root/;

/** Of all that is a matter of choice nothing. A panic is shown. */
const ARGUMENTS = kernelCommandLine({ kernelArguments: [], initcallBlacklist: [], moduleSignatures: 'checked' }, {});

const PROCESSORS = { kvm: 'host', tcg: 'max' } as const;

/** Boots the kernel, and waits for its end. */
export async function probe({ accelerator, emulator, kernel, limit }: Probe): Promise<Verdict> {
  const { execa } = await import('execa');
  const result = await execa(
    emulator,
    [
      ...['-accel', accelerator, '-cpu', PROCESSORS[accelerator]],
      ...['-machine', 'q35', '-m', '256', '-nodefaults', '-no-user-config', '-no-reboot'],
      ...['-display', 'none', '-serial', 'stdio', '-kernel', kernel],
      ...['-append', ARGUMENTS],
    ],
    { reject: false, timeout: limit, stdin: 'ignore', all: true },
  );
  const output = result.all ?? '';
  if (BOOTED.test(output)) return { usable: true, reason: 'a guest booted' };
  const last = lastLine(output);
  return {
    usable: false,
    reason: result.timedOut ? `a guest did not boot within ${limit / 1000} s: ${last}` : last,
  };
}

function lastLine(output: string): string {
  const line =
    output.split('\n').find((text) => /error|fail|KVM|abort/i.test(text)) ?? output.trim().split('\n').at(-1);
  return line?.trim().slice(0, 200) || 'QEMU said nothing';
}
