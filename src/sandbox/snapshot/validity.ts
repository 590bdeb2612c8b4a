/** Checks whether a snapshot is valid: whether the machine saved now would be the same, and its files are whole. */
import { dirname } from 'node:path';
import type { Manifest } from '../../image/manifest.js';
import { changedFiles, type Snapshot, type SnapshotRecord } from '../../image/snapshot/record.js';
import { readImage } from '../../image/store/open.js';
import type { Profile } from '../../profile/types.js';
import { ignoreSandboxError } from '../../util/errors.js';
import { changedHost } from './host-needs.js';
import { machineSignature, type SnapshotShape, savedCommandLine } from './machine.js';

/** Why a snapshot cannot be used. */
export interface SnapshotProblem {
  readonly state: 'stale' | 'damaged';
  readonly reason: string;
}

/** `is stale: QEMU changed` */
export function problemText({ state, reason }: SnapshotProblem): string {
  return `is ${state}: ${reason}`;
}

/**
 * What is wrong with a snapshot, apart from its boot image.
 * @param profile undefined: unknown, not checked
 * @param host from `snapshotHost`
 * @returns undefined if nothing is
 */
export async function problemOf(
  snapshot: Snapshot,
  profile: Profile | undefined,
  host: Readonly<Record<string, string>>,
): Promise<SnapshotProblem | undefined> {
  const changed = await staleness(snapshot.record, profile, host);
  if (changed !== undefined) return changed;
  const damaged = await damagedFile(snapshot);
  return damaged === undefined ? undefined : { state: 'damaged', reason: `its file ${damaged} is not what it was` };
}

/** The same by the record alone: whether the machine saved now would be another one. */
export async function staleness(
  record: SnapshotRecord,
  profile: Profile | undefined,
  host: Readonly<Record<string, string>>,
): Promise<SnapshotProblem | undefined> {
  const machine = profile === undefined ? [] : changedMachine(record, profile);
  const changed = [...machine, ...(await changedHost(record, host))];
  return changed.length > 0 ? stale(changed) : undefined;
}

/** What is wrong with a snapshot whose boot image is not the one used now. */
export async function imageProblem({ directory }: Snapshot, now: Manifest): Promise<SnapshotProblem> {
  const image = dirname(dirname(directory));
  const then = await ignoreSandboxError(readImage({ directory: image, id: undefined, called: image }));
  const changed = then === undefined ? [] : changedParts(then, now);
  return changed.length === 0 ? { state: 'stale', reason: 'it is of another boot image' } : stale(changed);
}

/** Whether it was baked with the machine and kernel arguments of `profile`. */
export function isOfMachine(record: SnapshotRecord, profile: Profile): boolean {
  return record.machine === machineSignature(shapeOf(record, profile));
}

function stale(changed: readonly string[]): SnapshotProblem {
  return { state: 'stale', reason: `${changed.join(' and ')} changed` };
}

function shapeOf(
  { memory, vcpus, acceleration, slots, root, screen, sets, prepared }: SnapshotRecord,
  profile: Profile,
): SnapshotShape {
  return { memory, vcpus, acceleration, profile, slots, root, screen, sets, prepared: prepared?.root };
}

function changedMachine(record: SnapshotRecord, profile: Profile): string[] {
  if (isOfMachine(record, profile)) return [];
  const { kernelArguments, machine } = record;
  const shape = shapeOf(record, profile);
  if (kernelArguments === undefined) return ['the kernel arguments or the machine'];
  return [
    ...(kernelArguments === savedCommandLine(shape) ? [] : ['the kernel arguments']),
    ...(machine === machineSignature(shape, kernelArguments) ? [] : ['the machine']),
  ];
}

/** What differs. Modules that only one image has are for other sandboxes, so they do not count. */
function changedParts(then: Manifest, now: Manifest): string[] {
  const modules = new Map(now.modules.map(({ name, sha256 }) => [name, sha256]));
  const isOther = ({ name, sha256 }: Manifest['modules'][number]) => (modules.get(name) ?? sha256) !== sha256;
  return [
    ...(then.kernel.source.sha256 === now.kernel.source.sha256 && then.kernel.file === now.kernel.file
      ? []
      : ['the kernel']),
    ...(then.modules.some(isOther) ? ['a module'] : []),
    ...(then.init.sha256 === now.init.sha256 ? [] : ['the init']),
  ];
}

/** The first damaged file. Only files that look changed are read. */
async function damagedFile(snapshot: Snapshot): Promise<string | undefined> {
  const suspects = changedFiles(snapshot);
  if (suspects.length === 0) return undefined;
  const { hasDigest } = await import('../../image/snapshot/digest.js');
  for (const file of suspects) if (!(await hasDigest(snapshot.directory, file))) return file.name;
  return undefined;
}
