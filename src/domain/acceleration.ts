/**
 * Whether KVM runs a guest here. A /dev/kvm that opens proves nothing: under nested virtualization it may fail at the first instruction. So
 * the answer comes from a guest (probe.ts).
 */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import type { Acceleration } from '../config/types.js';
import { isSystemError, SandboxError } from '../errors.js';
import { findInPath } from '../programs.js';
import { probe, type Verdict } from './probe.js';

export interface ProbeOptions {
  readonly wanted: Acceleration;
  /** A kernel image that the probe may boot. */
  readonly kernel: string;
  /** Where the answer is kept until the host is booted anew or QEMU changes. */
  readonly cacheDirectory: string;
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

async function kvmVerdict(options: ProbeOptions): Promise<Verdict> {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return { usable: false, reason: '/dev/kvm is missing or not accessible to this user' };
  }
  const emulator = findInPath('qemu-system-x86_64') ?? findInPath('qemu-kvm');
  if (!emulator) return { usable: false, reason: 'there is no qemu-system-x86_64 to try it with' };

  const key = `${bootId()} ${release()} ${emulator} ${statSync(emulator).mtimeMs} ${options.kernel}`;
  const file = join(options.cacheDirectory, 'kvm.json');
  const known = readVerdict(file, key);
  if (known) return known;
  options.onProgress?.('Trying whether KVM runs a guest');
  const verdict = await probe({ accelerator: 'kvm', emulator, kernel: options.kernel, limit: PROBE_MS });
  // Where it cannot be kept it is found out again.
  await keepVerdict(file, key, verdict).catch((error: unknown) => {
    if (!isSystemError(error)) throw error;
  });
  return verdict;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function readVerdict(file: string, key: string): Verdict | undefined {
  try {
    const kept: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof kept !== 'object' || kept === null) return undefined;
    const { key: keptKey, usable, reason } = kept as Record<string, unknown>;
    return keptKey === key && typeof usable === 'boolean' && typeof reason === 'string'
      ? { usable, reason }
      : undefined;
  } catch {
    // Not there or not readable as what it should be: it is made again.
    return undefined;
  }
}

async function keepVerdict(file: string, key: string, verdict: Verdict): Promise<void> {
  const temporary = `${file}.${process.pid}`;
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(temporary, JSON.stringify({ key, ...verdict }));
  await rename(temporary, file);
}
