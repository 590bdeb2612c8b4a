/** What removes or verifies images while others pull them, or start sandboxes of them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { obtainImage } from '../../../../src/oci/pull/obtain.js';
import { pruneStore, removeImage } from '../../../../src/oci/store/remove.js';
import { findTag } from '../../../../src/oci/store/tags.js';
import { verifyImage } from '../../../../src/oci/store/verify.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { during, holdsDuring } from '../../../helpers/meanwhile.js';
import { testImage } from '../../../helpers/oci/image.js';
import { sendBlob, startRegistry, type TestRegistry } from '../../../helpers/oci/registry.js';
import { damage, imageOf, pull, testStore } from '../../../helpers/oci/store.js';
import { tarOf } from '../../../helpers/oci/tar.js';

const LOWER = tarOf({ name: 'a', data: 'lower' });
const one = testImage([LOWER, tarOf({ name: 'b', data: 'one' })]);
const two = testImage([LOWER, tarOf({ name: 'b', data: 'two' })]);
const [lower] = one.layers;
assert.ok(lower !== undefined);

async function withImages(context: TestContext) {
  const [registry, store] = [await startRegistry(context), testStore(context)];
  registry.add(one, 'v1');
  registry.add(two, 'v2');
  return { registry, store, paths: store.paths };
}

/** Lets the registry wait before it sends a blob. */
function holdBack(registry: TestRegistry, { digest }: { readonly digest: string }) {
  let goOn = () => {};
  const asked = new Promise<void>((resolve) => {
    let isFirst = true;
    registry.hook(({ path }, response) => {
      const blob = two.blobs.find((known) => known.digest === digest);
      if (!isFirst || blob === undefined || !path.endsWith(digest)) return false;
      isFirst = false;
      goOn = () => sendBlob(response, blob);
      resolve();
      return true;
    });
  });
  return { asked, goOn: () => goOn() };
}

describe('a pull', () => {
  it('loses nothing to prune, which waits for it', async (context) => {
    const { registry, store, paths } = await withImages(context);
    const { release } = await pull(registry, store, 'v1');
    release();
    const [, upper] = two.layers;
    assert.ok(upper !== undefined);
    const { asked, goOn } = holdBack(registry, upper);
    const pulling = pull(registry, store, 'v2');
    await during(pulling, asked);
    const pruning = pruneStore(paths);
    goOn();
    const { tag } = await pulling;
    const { blobs, roots, leftovers } = await pruning;
    assert.deepEqual([blobs, roots, leftovers], [[], [], []]);
    assert.deepEqual(await verifyImage(paths, tag), []);
  });

  it('keeps the layer that it has repaired while verify --remove waited for it', async (context) => {
    const { registry, store, paths } = await withImages(context);
    const { tag } = await pull(registry, store, 'v1');
    const path = paths.blob(lower.digest);
    damage(path);
    const { asked, goOn } = holdBack(registry, two.config);
    const pulling = pull(registry, store, 'v2');
    await during(pulling, asked);
    // One who is about to remove makes it again.
    rmSync(paths.locks, { recursive: true });
    const verifying = verifyImage(paths, tag, { remove: true });
    await holdsDuring(verifying, () => existsSync(paths.locks));
    goOn();
    const { tag: other } = await pulling;
    assert.deepEqual(await verifying, []);
    assert.ok(readFileSync(path).equals(lower.bytes));
    assert.deepEqual(await verifyImage(paths, other), []);
  });
});

/**
 * How often the image is removed beside a start. The first start that comes too late is about the 5th, or the 15th on
 * a busy host.
 */
const ROUNDS = 60;

it('a start has its image, whoever removes it in the same moment', async (context) => {
  const { registry, store, paths } = await withImages(context);
  const image = imageOf(registry);
  const first = await pull(registry, store, 'v1');
  const { name } = first.tag;
  first.release();
  const counts = { removed: 0, refused: 0 };
  // A start comes later than one that was first, and earlier than one that was not: so they meet on any host.
  for (let round = 0, turns = 0; round <= ROUNDS; round += 1) {
    const removal = removeImage(paths, name);
    const start = async () => {
      // The last one comes behind the removal, and does not count.
      if (round === ROUNDS) await removal;
      else for (let turn = 0; turn < turns; turn += 1) await nextTurn();
      return obtainImage(image, 'missing', store.options);
    };
    const [started, removed] = await Promise.allSettled([start(), removal]);
    if (started.status === 'rejected') throw started.reason;
    const { root, release } = started.value;
    assert.equal(readFileSync(root.path).readUInt32LE(1024), 0xe0f5e1e2, `round ${round}`);
    release();
    const isGone = removed.status === 'fulfilled';
    if (!isGone) assert.ok(removed.reason instanceof SandboxError && removed.reason.code === 'image-in-use');
    if (round < ROUNDS) counts[isGone ? 'removed' : 'refused'] += 1;
    turns = isGone ? Math.floor(turns * 0.8) : Math.ceil(turns * 1.25) + 1;
    if (findTag(paths, name, 'linux/amd64') === undefined) (await pull(registry, store, 'v1')).release();
  }
  assert.ok(counts.removed > 0 && counts.refused > 0, JSON.stringify(counts));
});
