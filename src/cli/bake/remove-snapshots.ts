/** virt-sandbox-bake rm --warm, prune --stale: remove snapshots and keep their images. */
import type { StoredImage } from '../../image/inspect/inventory.js';
import { pruneSnapshots, type RemovedSnapshot, removeSnapshots } from '../../image/remove/remove-snapshots.js';
import { defaultStoreDirectory } from '../../image/store/store.js';
import { snapshotStates } from '../../sandbox/snapshot/stored.js';
import { printJson, printLines, size } from '../output.js';

/** Removes all snapshots of an image. */
export async function removeSnapshotsOf(called: string): Promise<{ result: object; done: string }> {
  const { id, snapshots: warm } = await removeSnapshots(defaultStoreDirectory(), called);
  return { result: { id, removed: false, warm }, done: `${counted(warm)} removed, ${size(sumOf(warm))}` };
}

/** Removes the snapshots that no sandbox can start from any more: the stale and the damaged ones. */
export async function pruneStale(
  options: { readonly dryRun: boolean; readonly olderThan?: number },
  json: boolean,
): Promise<number> {
  const store = defaultStoreDirectory();
  const problemsOf = async (image: StoredImage) => {
    const states = [...(await snapshotStates(store, image))];
    return new Map(
      states.flatMap(([directory, state]) =>
        state.state === 'stale' || state.state === 'damaged' ? [[directory, state.reason] as const] : [],
      ),
    );
  };
  const warm = await pruneSnapshots(store, { ...options, problemsOf });
  const { dryRun } = options;
  if (json) {
    await printJson({ dryRun, freed: sumOf(warm), images: [], workspaces: [], warm });
    return 0;
  }
  const done = dryRun ? 'would be removed' : 'removed';
  await printLines([
    ...warm.map((one) => `${one.directory}: ${done}, ${size(one.size)}, ${one.reason}`),
    `${counted(warm)} ${done}, ${size(sumOf(warm))}`,
  ]);
  return 0;
}

function counted({ length }: readonly RemovedSnapshot[]): string {
  return length === 1 ? '1 snapshot' : `${length} snapshots`;
}

function sumOf(warm: readonly RemovedSnapshot[]): number {
  return warm.reduce((sum, one) => sum + one.size, 0);
}
