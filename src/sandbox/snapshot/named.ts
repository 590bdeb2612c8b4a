/** The snapshots of the boot image that a user names. */
import { type ImportedSnapshots, importSnapshots, type SnapshotWish } from '../../image/snapshot/import.js';
import { snapshotsOf } from '../../image/snapshot/record.js';
import { imageRef } from '../../image/store/open.js';
import { openRef, storedId } from '../../image/store/open-image.js';
import { defaultStoreDirectory } from '../../image/store/store.js';

/**
 * Snapshots of an image of the store, or checked copies of those in a directory elsewhere.
 * @throws {SandboxError} those of opening an image; `store-not-writable`, `disk-full`
 */
export async function namedSnapshots(called: string, wish: SnapshotWish): Promise<ImportedSnapshots> {
  const store = defaultStoreDirectory();
  const ref = imageRef(called, store);
  const image = await openRef(ref, store);
  if (storedId(ref, store) === undefined) return importSnapshots(ref.directory, image, wish);
  return { snapshots: snapshotsOf(image.directory), refused: [] };
}
