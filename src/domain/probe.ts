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
  /** Calls it off. With it QEMU is out of reach of the terminal's signals, which are for whoever calls off. */
  readonly signal?: AbortSignal | undefined;
}

export interface Verdict {
  readonly usable: boolean;
  /** Why, as part of a sentence. */
  readonly reason: string;
}

export interface Trial extends Verdict {
  /** It is about the accelerator, and will be so the next time; not about a QEMU that was ended or got no memory. */
  readonly lasting: boolean;
}

/** The panic of a kernel that has found no init: it has booted. */
const BOOTED = /No working init found|Attempted to kill init|Unable to mount root/;

/** QEMU's word for a signal that it obeys; its exit status is 0 then. */
const ENDED = /terminating on signal \d/;

/** ENOMEM, EBUSY, EMFILE, ENFILE, EAGAIN, EACCES and EPERM: what may be otherwise in a moment, or when somebody has seen to it. */
const PASSING =
  /Cannot allocate memory|resource busy|Too many open files|temporarily unavailable|Permission denied|not permitted/i;

/** Of all that is a matter of choice nothing. A panic is shown. */
const ARGUMENTS = kernelCommandLine({ kernelArguments: [], initcallBlacklist: [], moduleSignatures: 'checked' }, {});

const PROCESSORS = { kvm: 'host', tcg: 'max' } as const;

/** Boots the kernel, and waits for its end. */
export async function probe({ accelerator, emulator, kernel, limit, signal }: Probe): Promise<Trial> {
  const { execa } = await import('execa');
  const trying = execa(
    emulator,
    [
      ...['-accel', accelerator, '-cpu', PROCESSORS[accelerator]],
      ...['-machine', 'q35', '-m', '256', '-nodefaults', '-no-user-config', '-no-reboot'],
      ...['-display', 'none', '-serial', 'stdio', '-kernel', kernel],
      ...['-append', ARGUMENTS],
    ],
    { reject: false, timeout: limit, stdin: 'ignore', all: true, detached: signal !== undefined },
  );
  // At once: this process may end before anything that is put off.
  const end = () => void trying.kill('SIGKILL');
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end);
  const result = await trying;
  signal?.removeEventListener('abort', end);
  const output = result.all ?? '';
  if (BOOTED.test(output)) return { usable: true, reason: 'a guest booted', lasting: true };
  const unsaid = result.signal ? `QEMU was ended by ${result.signal}` : result.originalMessage || 'QEMU said nothing';
  const last = lastLine(output) || unsaid;
  return {
    usable: false,
    reason: result.timedOut ? `a guest did not boot within ${limit / 1000} s: ${last}` : last,
    lasting: isLasting(result, output),
  };
}

interface Ending {
  readonly timedOut: boolean;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
}

/** QEMU ran to its end or to the limit, gave up by itself (SIGABRT, as where KVM refuses a register), or complains of KVM. */
function isLasting({ timedOut, exitCode, signal }: Ending, output: string): boolean {
  if (timedOut) return true;
  if (ENDED.test(output) || PASSING.test(output)) return false;
  if (exitCode === undefined) return signal === 'SIGABRT';
  return exitCode === 0 || /kvm/i.test(output);
}

function lastLine(output: string): string | undefined {
  const line =
    output.split('\n').find((text) => /error|fail|KVM|abort/i.test(text)) ?? output.trim().split('\n').at(-1);
  return line?.trim().slice(0, 200);
}
