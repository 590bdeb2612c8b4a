/** A way to start a sandbox that is measured. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Snapshot } from '../../image/snapshot/snapshot.js';
import type { Profile } from '../../profile/types.js';
import { asksForContainer } from './commands.js';
import type { Command } from './process.js';

export interface SandboxVariant {
  readonly kind: 'sandbox';
  readonly label: string;
  /** Of virt-sandbox. */
  readonly options: readonly string[];
  readonly profile: Profile;
  readonly command: readonly string[];
}

/** Another program that is measured beside it, as a whole process. `floorOf` has the labels of the sandboxes that it is the floor of. */
export interface ProgramVariant extends Command {
  readonly kind: 'program';
  readonly floorOf?: readonly string[];
}

/** A bare QEMU that goes on from the same state as a sandbox, and runs /bin/true in a guest without mounts, disks or networks. */
export interface RestoreVariant {
  readonly kind: 'restore';
  readonly label: string;
  readonly argv: readonly string[];
  readonly warm: Snapshot;
  readonly floorOf?: readonly string[];
}

export type Variant = SandboxVariant | ProgramVariant | RestoreVariant;

/**
 * One instruction is 2 ns of the guest's clock, so that a boot of some 0.9 thousand million instructions sees few ticks of its timer.
 * https://www.qemu.org/docs/master/system/replay.html
 */
export const INSTRUCTION_SHIFT = 1;
const INSTRUCTION_ARGUMENTS = [
  ...['-icount', `shift=${INSTRUCTION_SHIFT},sleep=off`],
  // The processor itself does what it asks a device for. Else another thread would, and the guest spin for as long as the host takes.
  ...['virtio-serial-pci', 'virtio-9p-pci'].flatMap((device) => ['-global', `${device}.ioeventfd=off`]),
];

/** In which the guest's clock counts instructions. */
export function countingInstructions(profile: Profile): Profile {
  return withQemu(profile, INSTRUCTION_ARGUMENTS);
}

/** @throws {Error} where no kernel boots */
export function refuseCounting(options: readonly string[]): void {
  const warm = options.some((word, at) => word === '--boot=warm' || (word === 'warm' && options[at - 1] === '--boot'));
  if (!warm && !asksForContainer(options)) return;
  const what = warm ? 'a saved machine goes on' : 'a container has no kernel of its own';
  throw new Error(`--deterministic counts the instructions of a boot, and ${what}; measure its time`);
}

/** From microseconds of such a guest's clock. */
export function instructions(microseconds: number): number {
  return (microseconds * 1000) / 2 ** INSTRUCTION_SHIFT;
}

/** In which the kernel keeps in its log how long each initcall took. The log is not shown, which would take far longer. */
export function loggingInitcalls(profile: Profile): Profile {
  const reason = { why: 'for measuring', worth: '', risk: '' };
  const added = ['initcall_debug', 'log_buf_len=4M'].map((argument) => ({ argument, ...reason }));
  return { ...profile, kernelArguments: [...profile.kernelArguments, ...added] };
}

export function withQemu(profile: Profile, words: readonly string[]): Profile {
  return { ...profile, qemuArguments: [...(profile.qemuArguments ?? []), ...words] };
}

/** @returns the options that have virt-sandbox boot by this profile */
export function profileOptions(profile: Profile, scratch: string): string[] {
  const path = join(scratch, `${profile.name}.json`);
  writeFileSync(path, JSON.stringify(profile));
  return ['--profile', path];
}
