/** The state of stored snapshots, for `virt-sandbox-bake list`: found without asking a daemon or building anything. */

import { type Snapshot, snapshotsOf } from '../../image/snapshot/record.js';
import { hasAnswer, lookUp, requestKey } from '../../image/store/lookup.js';
import { defaultSetsDirectory } from '../../kmods/sets.js';
import { loadProfile } from '../../profile/load.js';
import type { Profile } from '../../profile/types.js';
import { ignoreSandboxError } from '../../util/errors.js';
import { hostProgram } from '../../util/programs.js';
import { imageChoices } from '../image-choices.js';
import { snapshotHost } from './host.js';
import { imageProblem, problemOf, type SnapshotProblem } from './validity.js';

/** Unknown: files of the boot image look changed, but may have the same content. The next start finds out. */
export type SnapshotState =
  | { readonly state: 'valid' }
  | { readonly state: 'unknown'; readonly reason: string }
  | SnapshotProblem;

/** A boot image with snapshots. */
export interface SnapshotOwner {
  readonly directory: string;
  /** Undefined outside a store. */
  readonly id: string | undefined;
  readonly names: readonly string[];
}

/** The state of each snapshot of an image, by directory. */
export async function snapshotStates(store: string, owner: SnapshotOwner): Promise<Map<string, SnapshotState>> {
  const images = snapshotsOf(owner.directory);
  if (images.length === 0) return new Map();
  const host = await snapshotHost();
  const states = images.map(
    async (snapshot) => [snapshot.directory, await stateOf(snapshot, store, owner, host)] as const,
  );
  return new Map(await Promise.all(states));
}

async function stateOf(
  snapshot: Snapshot,
  store: string,
  owner: SnapshotOwner,
  host: Readonly<Record<string, string>>,
): Promise<SnapshotState> {
  const called = snapshot.record.profile;
  const profile = called === undefined ? undefined : await ignoreSandboxError(loadProfile(called));
  return (await problemOf(snapshot, profile, host)) ?? (await imageState(snapshot, store, owner, profile));
}

/** A named image, or one outside the store, is used as it is. Any other must be what would be built now. */
async function imageState(
  snapshot: Snapshot,
  store: string,
  { id, names }: SnapshotOwner,
  profile: Profile | undefined,
): Promise<SnapshotState> {
  if (id === undefined || names.length > 0 || hasAnswer(store, id)) return { state: 'valid' };
  const request = {
    kernel: { version: undefined, path: undefined, modulesPath: undefined },
    sets: snapshot.record.sets,
    nativeInit: hostProgram('init'),
  };
  const now = profile && lookUp(store, requestKey({ ...request, ...imageChoices(profile) }, defaultSetsDirectory()));
  if (now) return imageProblem(snapshot, now.manifest);
  return { state: 'unknown', reason: 'the kernel, a module or the init may have changed' };
}
