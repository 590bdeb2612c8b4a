/** Images of EROFS, by a reader of our own: they are what their layers say. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planErofs, sizeOf } from '../../../../src/oci/layers/erofs-plan.js';
import { indexLayers } from '../../../../src/oci/layers/index-layers.js';
import { Merge } from '../../../../src/oci/layers/merge.js';
import { MOST_UNPACKED_BYTES } from '../../../../src/oci/limits.js';
import { EMPTY_IMAGE_BYTES, readErofs } from '../../../helpers/oci/erofs.js';
import { imageOfMerge, memoryLayer, mergedEntries, mergedImage } from '../../../helpers/oci/layers.js';
import { tarOf } from '../../../helpers/oci/tar.js';

describe('an image', () => {
  it('has more inodes than are held while it is written', async () => {
    const content = (at: number) => `${at} `.repeat(at % 900);
    const files = Array.from({ length: 3000 }, (_, at) => ({ name: `f${at}`, data: content(at) }));
    const image = await mergedImage(files);
    // The first inodes are in the first block, and the last ones were written long after it.
    assert.ok(image.length > 4 << 20);
    const read = readErofs(image).filter(({ type }) => type === 'file');
    assert.equal(read.length, files.length);
    for (const one of read) assert.ok(one.content === content(Number(one.name.slice(1))), one.name);
  });

  it('has nothing of some layers, and these are not read again', async () => {
    const tars = [tarOf({ name: 'a', data: 'x' }), tarOf({ name: 'a', data: 'y' }), tarOf({ name: 'd', type: '5' })];
    const reads = [0, 0, 0];
    const layers = tars.map((bytes, at) =>
      memoryLayer(bytes, {
        open: async function* () {
          reads[at] = (reads[at] ?? 0) + 1;
          yield bytes;
        },
      }),
    );
    const image = await imageOfMerge(await indexLayers(layers), layers);
    assert.deepEqual(
      readErofs(image).map(({ name, content }) => [name, content]),
      [
        ['./', ''],
        ['a', 'y'],
        ['d/', ''],
      ],
    );
    assert.deepEqual(reads, [1, 2, 1]);
  });

  it('has times before 1970 as 1970', async () => {
    const pax = { mtime: '-1.5' };
    const found = (await mergedEntries([{ name: 'a', data: 'x', pax }])).find(({ name }) => name === 'a');
    assert.equal(found?.mtime, 0);
  });

  it('has room for the largest content that layers may have', async () => {
    const merge = new Merge();
    merge.beginLayer('layer 1');
    const size = MOST_UNPACKED_BYTES / 2;
    const common = {
      position: 0,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: 0,
      link: '',
      major: 0,
      minor: 0,
      xattrs: new Map(),
    };
    for (const name of ['a', 'b', 'c']) merge.apply({ ...common, name, type: 'file', size });
    const plan = await planErofs(merge);
    assert.deepEqual([plan.contentAt, plan.blocks], [3, (3 * size) / 4096 + EMPTY_IMAGE_BYTES / 4096]);
    assert.equal(sizeOf(plan), 3 * size + EMPTY_IMAGE_BYTES);
  });
});
