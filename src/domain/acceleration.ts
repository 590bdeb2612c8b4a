/**
 * Chooses KVM or TCG. A /dev/kvm that opens proves nothing: under nested virtualization it may fail at the first
 * instruction. So a guest is booted to find out (probe.ts), once per host boot, kernel and QEMU.
 */

import { accessSync, constants, statSync } from 'node:fs';
import type { Acceleration } from '../config/types.js';
import { isSystemError, SandboxError } from '../util/errors.js';
import { option } from '../util/option-names.js';
import { findQemu } from '../util/programs.js';
import { Verdicts } from './kvm-verdicts.js';
import { probe, type Verdict } from './probe.js';

export interface ProbeOptions {
  readonly wanted: Acceleration;
  /** Emulation is no way out. */
  readonly required?: boolean;
  /** A kernel image that the probe may boot. */
  readonly kernel: string;
  /** SHA-256 of the kernel's source file, the same in every boot image. */
  readonly kernelDigest: string;
  /** Default: /dev/kvm. */
  readonly device?: string;
  /** Where the verdict is kept until the host reboots or QEMU changes. `wanted: kvm` does not trust a bad one. */
  readonly cacheDirectory: string;
  /** How long the sandbox may take to start, in milliseconds. */
  readonly bootTimeout?: number;
  /** Cancels the probe. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the reason, as a part of a sentence, where `auto` ends in emulation. */
  readonly onFallback?: ((reason: string) => void) | undefined;
  readonly onProgress?: ((message: string) => void) | undefined;
}

/**
 * The most that a guest under KVM may take to reach its first process, in milliseconds; less where the sandbox has less
 * to start. On hardware it takes less than one second; where the host is a machine itself, and busy, it took more than
 * thirty.
 */
const PROBE_MS = 120_000;

/** How long it may do nothing meanwhile, in milliseconds. */
const STILL_MS = 10_000;

/**
 * @returns what to boot with
 * @throws {SandboxError} `kvm-unusable` if KVM was asked for and no guest runs
 */
export async function chooseAcceleration(options: ProbeOptions): Promise<'kvm' | 'tcg'> {
  if (options.wanted === 'tcg') return 'tcg';
  const verdict = await kvmVerdict(options);
  if (verdict.usable) return 'kvm';
  if (options.wanted === 'kvm') {
    throw new SandboxError({
      stage: 'domain',
      code: 'kvm-unusable',
      message: `KVM does not run a guest here: ${verdict.reason}`,
      remedy: options.required
        ? `use a host where KVM works, or leave out ${option('requireKvm')}`
        : `use ${option('acceleration', 'tcg')}, which is slower and runs everywhere`,
    });
  }
  options.onFallback?.(verdict.reason);
  return 'tcg';
}

/**
 * What a machine will probably be started with. Nothing is booted for that: with `auto` it is KVM if guests of this QEMU
 * have run under it since the host booted, with every kernel that was tried.
 */
export function expectedAcceleration({
  wanted,
  cacheDirectory,
  device = DEVICE,
}: Pick<ProbeOptions, 'wanted' | 'cacheDirectory' | 'device'>): 'kvm' | 'tcg' {
  if (wanted !== 'auto') return wanted;
  const emulator = findQemu();
  if (emulator === undefined || kvmObstacle(device) !== undefined) return 'tcg';
  const verdicts = new Verdicts(cacheDirectory).findAll(subjectOf(emulator));
  return verdicts.length > 0 && verdicts.every(({ usable }) => usable) ? 'kvm' : 'tcg';
}

/** What a user is told who did not ask for emulation and gets it. */
export function fallbackSentence(reason: string): string {
  return (
    `${FALLBACK} (${reason}), so the machine is emulated, which is slower; ` +
    `${option('acceleration', 'tcg')} asks for that, and ${option('requireKvm')} refuses it`
  );
}

const FALLBACK = 'no KVM here';

/** Whether a line on a program's stderr is that sentence. */
export function isFallbackLine(line: string): boolean {
  return new RegExp(`^virt-sandbox(?:-bake)?: ${FALLBACK} \\(.*\\), so the machine is emulated, `).test(line);
}

const DEVICE = '/dev/kvm';

/** Why KVM cannot be tried; undefined: it can. */
export function kvmObstacle(device = DEVICE): string | undefined {
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return isSystemError(error, 'ENOENT') ? `${device} is missing` : `this user may not use ${device}`;
  }
}

/** How subjects of verdicts begin that are about this QEMU. */
function subjectOf(emulator: string): string {
  return `${emulator} ${statSync(emulator).mtimeMs} `;
}

async function kvmVerdict({ device = DEVICE, wanted, signal, ...options }: ProbeOptions): Promise<Verdict> {
  const obstacle = kvmObstacle(device);
  if (obstacle !== undefined) return { usable: false, reason: obstacle };
  const emulator = findQemu();
  if (!emulator) return { usable: false, reason: 'there is no qemu-system-x86_64 to try it with' };

  const subject = `${subjectOf(emulator)}${options.kernelDigest}`;
  const verdicts = new Verdicts(options.cacheDirectory);
  const known = verdicts.find(subject);
  if (known && (known.usable || wanted !== 'kvm')) return known;
  options.onProgress?.('Trying whether KVM runs a guest');
  const verdict = await probe({
    accelerator: 'kvm',
    emulator,
    kernel: options.kernel,
    limit: Math.min(PROBE_MS, options.bootTimeout ?? PROBE_MS),
    still: STILL_MS,
    signal,
  });
  if (!verdict.lasting) return verdict;
  // If it cannot be kept, the next start probes again.
  await verdicts.keep(subject, verdict).catch((error: unknown) => {
    if (!isSystemError(error)) throw error;
  });
  return verdict;
}
