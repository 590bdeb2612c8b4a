/** The variants that are measured: sandboxes, other programs, bare QEMUs. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { modernDriver } from '../../domain/virtio.js';
import type { Snapshot } from '../../image/snapshot/record.js';
import type { Profile } from '../../profile/types.js';
import { asksForContainer } from './commands.js';
import type { Command } from './process.js';

export interface SandboxVariant {
  readonly kind: 'sandbox';
  readonly label: string;
  /** Options of virt-sandbox. */
  readonly options: readonly string[];
  readonly profile: Profile;
  readonly command: readonly string[];
}

/** Another program, measured as a whole process. */
export interface ProgramVariant extends Command {
  readonly kind: 'program';
  readonly baselineOf?: undefined;
}

/** A bare QEMU whose guest powers off at once. */
export interface BootVariant {
  readonly kind: 'boot';
  readonly label: string;
  readonly argv: readonly string[];
  /** Labels of the sandboxes that this is the baseline of. */
  readonly baselineOf?: readonly string[];
}

/** A bare QEMU that restores a sandbox's snapshot and runs /bin/true in a guest without mounts, disks or networks. */
export interface RestoreVariant {
  readonly kind: 'restore';
  readonly label: string;
  readonly argv: readonly string[];
  readonly snapshot: Snapshot;
  /** Labels of the sandboxes that this is the baseline of. */
  readonly baselineOf?: readonly string[];
}

export type Variant = SandboxVariant | ProgramVariant | BootVariant | RestoreVariant;

/**
 * 1 makes one instruction 2 ns of the guest's clock, so that a boot of about 900 million instructions sees few timer
 * ticks. https://www.qemu.org/docs/master/system/replay.html
 */
export const INSTRUCTION_SHIFT = 1;
const INSTRUCTION_ARGUMENTS = [
  ...['-icount', `shift=${INSTRUCTION_SHIFT},sleep=off`],
  // The virtual CPU handles device requests itself. Another thread would take host time, during which the guest spins
  // and counts. What serves a root over virtiofs is another process, and the guest asks it for nothing before its init is
  // ready.
  ...[modernDriver('serial'), modernDriver('9p')].flatMap((device) => ['-global', `${device}.ioeventfd=off`]),
];

/**
 * The clock of an idle guest jumps to its next timer at once. A host that answers a tenth of a second late would find
 * that the init has waited for minutes and given up. While the processor is never idle, the clock only counts.
 * https://docs.kernel.org/admin-guide/kernel-parameters.html
 */
const NEVER_IDLE = 'idle=poll';

/** The profile with a guest clock that counts instructions. */
export function countingInstructions(profile: Profile): Profile {
  return withQemu(withArguments(profile, [NEVER_IDLE]), INSTRUCTION_ARGUMENTS);
}

/** @throws {Error} for a warm start and for a container, where no kernel boots, and for KVM, which does not count */
export function refuseCounting(options: readonly string[]): void {
  const why = obstacleToCounting(options);
  if (why !== undefined) throw new Error(`--deterministic counts the instructions of a boot, and ${why}`);
}

function obstacleToCounting(options: readonly string[]): string | undefined {
  if (asksForContainer(options)) return 'a container has no kernel of its own; measure its time';
  if (optionOf(options, 'boot') === 'warm') return 'a warm start boots no kernel; measure its time';
  if (optionOf(options, 'accel') !== 'kvm' && !options.includes('--require-kvm')) return undefined;
  return (
    'under KVM the guest runs on the processor, where only QEMU’s emulator counts; measure the time, which tells the exits ' +
    'to KVM too, or leave out --accel kvm to count under emulation'
  );
}

/** The last value of an option of virt-sandbox that is given as `--NAME VALUE` or `--NAME=VALUE`. */
export function optionOf(options: readonly string[], name: string): string | undefined {
  const values = options.flatMap((word, at) => {
    if (word.startsWith(`--${name}=`)) return [word.slice(name.length + 3)];
    return options[at - 1] === `--${name}` ? [word] : [];
  });
  return values.at(-1);
}

/** Converts microseconds of such a guest's clock. */
export function instructions(microseconds: number): number {
  return (microseconds * 1000) / 2 ** INSTRUCTION_SHIFT;
}

/**
 * The profile with a kernel that logs how long each initcall took. The console does not show the log, which would take
 * far longer.
 */
export function loggingInitcalls(profile: Profile): Profile {
  return withArguments(profile, ['initcall_debug', 'log_buf_len=4M']);
}

function withArguments(profile: Profile, words: readonly string[]): Profile {
  const reason = { why: 'for measuring', worth: '', risk: '' };
  const added = words.map((argument) => ({ argument, ...reason }));
  return { ...profile, kernelArguments: [...profile.kernelArguments, ...added] };
}

export function withQemu(profile: Profile, words: readonly string[]): Profile {
  return { ...profile, qemuArguments: [...(profile.qemuArguments ?? []), ...words] };
}

/** Writes the profile to a file in `scratch`, and returns the options that make virt-sandbox use it. */
export function profileOptions(profile: Profile, scratch: string): string[] {
  const path = join(scratch, `${profile.name}.json`);
  writeFileSync(path, JSON.stringify(profile));
  return ['--profile', path];
}
