/**
 * Finds out whether QEMU runs a guest with an accelerator. It boots a kernel without initrd and root: if the kernel
 * gets as far as to panic about that, guests run.
 */
import { kernelCommandLine } from './cmdline.js';
import { watchStillness } from './stillness.js';

export interface Probe {
  readonly accelerator: 'kvm' | 'tcg';
  /** The path of a QEMU. */
  readonly emulator: string;
  /** The path of a kernel image. */
  readonly kernel: string;
  /** Timeout, in milliseconds. */
  readonly limit: number;
  /** Timeout for a QEMU that uses no processor, in milliseconds. Default: as `limit`. */
  readonly still?: number;
  /**
   * Cancels the probe. If it is given, QEMU gets a process group of its own, out of reach of the terminal's signals.
   */
  readonly signal?: AbortSignal | undefined;
}

export interface Verdict {
  readonly usable: boolean;
  /** Why, as a part of a sentence. */
  readonly reason: string;
}

export interface Trial extends Verdict {
  /**
   * The verdict is about the accelerator, so it may be kept. False if QEMU was killed or got no memory, for example.
   */
  readonly lasting: boolean;
}

/** The panic of a kernel that finds no init: it has booted. */
const BOOTED = /No working init found|Attempted to kill init|Unable to mount root/;

/** What QEMU prints when a signal ends it. Its exit status is 0 then. */
const ENDED = /terminating on signal \d/;

/** What QEMU prints when the guest cannot go on. It waits for ever then, with the guest paused. */
const PAUSED = /KVM internal error/;

/**
 * ENOMEM, EBUSY, EMFILE, ENFILE, EAGAIN, EACCES and EPERM: failures that may pass, or that an administrator can fix.
 */
const PASSING =
  /Cannot allocate memory|resource busy|Too many open files|temporarily unavailable|Permission denied|not permitted/i;

/** No optional arguments. A panic is shown. */
const ARGUMENTS = kernelCommandLine({ kernelArguments: [], initcallBlacklist: [], moduleSignatures: 'checked' }, {});

const PROCESSORS = { kvm: 'host', tcg: 'max' } as const;

/** Most characters of output. A kernel that boots prints a twentieth of it. */
const OUTPUT_CHARACTERS = 1 << 20;

/** How much of it is searched while it comes: the words may come in two pieces. */
const LATEST_CHARACTERS = 4096;

/** Boots the kernel and waits for QEMU's end. */
export async function probe({ accelerator, emulator, kernel, limit, still = limit, signal }: Probe): Promise<Trial> {
  const { execa } = await import('execa');
  const trying = execa(
    emulator,
    [
      ...['-accel', accelerator, '-cpu', PROCESSORS[accelerator]],
      ...['-machine', 'q35', '-m', '256', '-nodefaults', '-no-user-config', '-no-reboot'],
      ...['-display', 'none', '-serial', 'stdio', '-kernel', kernel],
      ...['-append', ARGUMENTS],
    ],
    {
      reject: false,
      timeout: limit,
      stdin: 'ignore',
      all: true,
      detached: signal !== undefined,
      maxBuffer: OUTPUT_CHARACTERS,
    },
  );
  // Kill at once: this process may end before anything that is deferred.
  const end = () => void trying.kill('SIGKILL');
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end);
  let latest = '';
  trying.all?.on('data', (chunk: Buffer) => {
    latest = `${latest}${chunk.toString('latin1')}`.slice(-LATEST_CHARACTERS);
    if (PAUSED.test(latest)) end();
  });
  let isStill = false;
  const stopWatching = watchStillness(trying.pid ?? 0, still, () => {
    isStill = true;
    end();
  });
  const result = await trying;
  stopWatching();
  signal?.removeEventListener('abort', end);
  const output = result.all ?? '';
  if (BOOTED.test(output)) return { usable: true, reason: 'a guest booted', lasting: true };
  const unsaid = result.signal ? `QEMU was ended by ${result.signal}` : result.originalMessage || 'QEMU said nothing';
  const slow = result.timedOut ? `did not boot within ${limit / 1000} s` : undefined;
  const late = isStill ? `did nothing for ${still / 1000} s` : slow;
  const last = lastLine(output) || unsaid;
  return {
    usable: false,
    reason: late === undefined ? last : `a guest ${late}: ${last}`,
    lasting: isStill || PAUSED.test(output) || isLasting(result, output, limit),
  };
}

interface Ending {
  readonly timedOut: boolean;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
}

/** A timeout that says something about KVM, in milliseconds. */
const LONG_MS = 30_000;

/** True if QEMU had long enough, exited with 0, aborted (SIGABRT, as when KVM refuses a register), or complains about KVM. */
function isLasting({ timedOut, exitCode, signal }: Ending, output: string, limit: number): boolean {
  if (timedOut) return limit >= LONG_MS;
  if (ENDED.test(output) || PASSING.test(output)) return false;
  if (exitCode === undefined) return signal === 'SIGABRT';
  return exitCode === 0 || /kvm/i.test(output);
}

function lastLine(output: string): string | undefined {
  const line =
    output.split('\n').find((text) => /error|fail|KVM|abort/i.test(text)) ?? output.trim().split('\n').at(-1);
  return line?.trim().slice(0, 200);
}
