/** Images that cannot be made: layers that change meanwhile, disks, and work that is cancelled. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { writeErofs } from '../../../../src/oci/layers/erofs-image.js';
import { planErofs } from '../../../../src/oci/layers/erofs-plan.js';
import { indexLayers } from '../../../../src/oci/layers/index-layers.js';
import type { StoredLayer } from '../../../../src/oci/layers/layer-stream.js';
import { imageError } from '../../../../src/oci-names/errors.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { imageOfMerge, memoryLayer } from '../../../helpers/oci/layers.js';
import { type TarEntry, tarOf } from '../../../helpers/oci/tar.js';

describe('an image that cannot be made', () => {
  const tar = tarOf({ name: 'a', data: 'x'.repeat(5000) }, { name: 'b', data: 'y' });

  /** A layer that is another one when it is read again. */
  const changing = (second: Buffer, more: Partial<StoredLayer> = {}) => {
    let reads = 0;
    return memoryLayer(tar, {
      open: async function* () {
        reads += 1;
        yield reads === 1 ? tar : second;
      },
      ...more,
    });
  };
  const a = { name: 'a', data: 'x'.repeat(5000) };
  const b = { name: 'b', data: 'y' };
  for (const [what, second] of [
    ['a larger file', tarOf({ name: 'a', data: 'x'.repeat(50_000) }, { name: 'b', data: 'y' })],
    ['a smaller file', tarOf({ name: 'a', data: 'x' }, { name: 'b', data: 'y' })],
    ['something else than a file', tarOf({ name: 'a', type: '6' }, { name: 'b', data: 'y' })],
    ['a directory', tarOf({ name: 'a', type: '5' }, { name: 'b', data: 'y' })],
    ['other attributes', tarOf({ name: 'a', data: 'x'.repeat(5000), pax: { 'SCHILY.xattr.user.a': '1' } })],
    ['fewer entries', tarOf({ name: 'a', data: 'x'.repeat(5000) })],
    ['other content of the same size', tarOf(a, { ...b, data: 'z' })],
    ['another name', tarOf(a, { ...b, name: 'c' })],
    ['another mode', tarOf(a, { ...b, mode: 0o4755 })],
    ['another owner', tarOf(a, { ...b, uid: 1 })],
    ['more entries', tarOf(a, b, { ...b, name: 'c' })],
    ['more bytes behind its end', Buffer.concat([tar, Buffer.alloc(512)])],
  ] as const)
    it(`because a layer has ${what} when it is read again says so`, async () => {
      const layer = changing(second);
      const merge = await indexLayers([layer]);
      await rejectsWith(imageOfMerge(merge, [layer]), 'layer-invalid', /layer 1 has changed since it was checked/);
    });

  const xattr = (name: string, value: string) => ({ [`SCHILY.xattr.${name}`]: value });
  for (const [what, first, second] of [
    ['an owner', { name: 'a' }, { name: 'a', pax: { uid: '5000000000' } }],
    ['a device', { name: 'a', type: '3', major: 1 }, { name: 'a', type: '3', major: 2 ** 20 }],
    ['a link', { name: 'a', type: '2', link: 'abc' }, { name: 'a', type: '2', pax: { linkpath: 'a\0c' } }],
    [
      'a name',
      { name: 'a', pax: xattr('user.a', 'v'.repeat(300)) },
      { name: 'a', pax: xattr(`user.${'n'.repeat(300)}`, 'v') },
    ],
    ['an empty name', { name: 'a', pax: xattr('user.a', 'v') }, { name: 'a', pax: xattr('user.', 'vv') }],
  ] as const satisfies readonly (readonly [string, TarEntry, TarEntry])[])
    it(`because it has ${what} that there is no room for when it is read again says so`, async () => {
      let reads = 0;
      const layer = memoryLayer(tarOf(first), {
        open: async function* () {
          reads += 1;
          yield tarOf(reads === 1 ? first : second);
        },
      });
      const merge = await indexLayers([layer]);
      await rejectsWith(imageOfMerge(merge, [layer]), 'layer-invalid', /layer 1 has changed since it was checked/);
    });

  it('because a layer changes says what is wrong with where it is kept', async () => {
    const damaged = imageError('store-damaged', 'the blob is damaged', 'pull the image again');
    const layer = changing(tarOf(a, { ...b, data: 'z' }), { damage: () => Promise.resolve(damaged) });
    const merge = await indexLayers([layer]);
    await rejectsWith(imageOfMerge(merge, [layer]), 'store-damaged');
  });

  it('because a write fails has its error', async () => {
    const layer = memoryLayer(tar);
    const merge = await indexLayers([layer]);
    const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    const file = {
      write: () => Promise.reject(full),
      truncate: () => Promise.resolve(),
    };
    const plan = await planErofs(merge);
    await assert.rejects(writeErofs(file, merge, plan, [layer], { uuid: '0'.repeat(32) }), full);
  });

  // Nothing here waits for a disk, so a signal is seen only if it gets a turn.
  for (const [what, names] of [
    ['in one directory', (at: number) => `d/${at}`],
    ['each in its own', (at: number) => `${at}/f`],
  ] as const)
    it(`because the work is cancelled while many names are planned and written, ${what}`, async () => {
      const layer = memoryLayer(tarOf(...Array.from({ length: 30_000 }, (_, at) => ({ name: names(at), type: '5' }))));
      const merge = await indexLayers([layer]);
      const soon = () => {
        const controller = new AbortController();
        setImmediate(() => controller.abort());
        return controller.signal;
      };
      await rejectsWith(planErofs(merge, soon()), 'aborted');
      const plan = await planErofs(merge);
      const file = {
        write: async (_data: Uint8Array, _offset: number, length: number) => ({ bytesWritten: length }),
        truncate: async () => {},
      };
      const options = { uuid: '0'.repeat(32), signal: soon() };
      await rejectsWith(writeErofs(file, merge, plan, [layer], options), 'aborted');
    });

  it('because the work is cancelled lets its layers go', async () => {
    const controller = new AbortController();
    let [reads, isOpen] = [0, 0];
    const layer = memoryLayer(tar, {
      open: async function* () {
        reads += 1;
        isOpen += 1;
        try {
          yield tar.subarray(0, 1024);
          if (reads === 2) controller.abort();
          yield tar.subarray(1024, 2048);
          yield tar.subarray(2048);
        } finally {
          isOpen -= 1;
        }
      },
    });
    const merge = await indexLayers([layer]);
    await rejectsWith(imageOfMerge(merge, [layer], { signal: controller.signal }), 'aborted');
    assert.deepEqual([reads, isOpen], [2, 0]);
  });
});
