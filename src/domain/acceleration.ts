/**
 * Whether KVM runs a guest here. A /dev/kvm that opens proves nothing: under nested virtualization it may fail at the first instruction. So
 * the answer comes from a guest (probe.ts).
 */
import { accessSync, constants, statSync } from 'node:fs';
import type { Acceleration } from '../config/types.js';
import { isSystemError, SandboxError } from '../util/errors.js';
import { findInPath } from '../util/programs.js';
import { probe, type Verdict } from './probe.js';
import { Verdicts } from './verdicts.js';

export interface ProbeOptions {
  readonly wanted: Acceleration;
  /** A kernel image that the probe may boot. */
  readonly kernel: string;
  /** What tells it from other kernels, whichever image it is in. */
  readonly kernelDigest: string;
  /** Default: /dev/kvm. */
  readonly device?: string;
  /** Where the answer is kept until the host is booted anew or QEMU changes. Whoever asks for KVM has a bad one found out anew. */
  readonly cacheDirectory: string;
  /** Calls off what is tried. */
  readonly signal?: AbortSignal | undefined;
  readonly onChoice?: (sentence: string) => void;
  readonly onProgress?: (message: string) => void;
}

/** How long a guest under KVM may take to reach its first process, in milliseconds. */
const PROBE_MS = 10_000;

/**
 * @returns what to boot with
 * @throws {SandboxError} `kvm-unusable` when KVM was asked for and no guest runs
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
      remedy: 'use --accel tcg, which is slower and runs everywhere',
    });
  }
  options.onChoice?.(`acceleration: tcg, because KVM does not run a guest here (${verdict.reason})`);
  return 'tcg';
}

async function kvmVerdict({ device = '/dev/kvm', wanted, signal, ...options }: ProbeOptions): Promise<Verdict> {
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
  } catch {
    return { usable: false, reason: `${device} is missing or not accessible to this user` };
  }
  const emulator = findInPath('qemu-system-x86_64') ?? findInPath('qemu-kvm');
  if (!emulator) return { usable: false, reason: 'there is no qemu-system-x86_64 to try it with' };

  const subject = `${emulator} ${statSync(emulator).mtimeMs} ${options.kernelDigest}`;
  const verdicts = new Verdicts(options.cacheDirectory);
  const known = verdicts.find(subject);
  if (known && (known.usable || wanted !== 'kvm')) return known;
  options.onProgress?.('Trying whether KVM runs a guest');
  const verdict = await probe({ accelerator: 'kvm', emulator, kernel: options.kernel, limit: PROBE_MS, signal });
  if (!verdict.lasting) return verdict;
  // Where it cannot be kept it is found out again.
  await verdicts.keep(subject, verdict).catch((error: unknown) => {
    if (!isSystemError(error)) throw error;
  });
  return verdict;
}
