/** virt-sandbox-bake rm --warm, prune --stale: saved machines without their images. */
import type { StoredImage } from '../../image/inspect/inventory.js';
import { pruneSnapshots, type RemovedSnapshot, removeSnapshots } from '../../image/store/remove-snapshots.js';
import { defaultStoreDirectory } from '../../image/store/store.js';
import { snapshotStates } from '../../sandbox/snapshot/stored.js';
import { printJson, printLines, size } from './output.js';

/** Removes what was saved with an image. */
export async function removeOnlyWarm(called: string): Promise<{ result: object; done: string }> {
  const { id, warm } = await removeSnapshots(defaultStoreDirectory(), called);
  return { result: { id, removed: false, warm }, done: `${warm.length} saved machines removed, ${size(sumOf(warm))}` };
}

/** Removes the saved machines that are known to be of no use any more. */
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
    `${warm.length} saved machines ${done}, ${size(sumOf(warm))}`,
  ]);
  return 0;
}

function sumOf(warm: readonly RemovedSnapshot[]): number {
  return warm.reduce((sum, one) => sum + one.size, 0);
}
