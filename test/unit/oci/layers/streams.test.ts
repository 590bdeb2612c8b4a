/** Layers as streams: what is damaged, wrong or too large is refused, and nothing is left behind. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { indexLayers } from '../../../../src/oci/layers/index-layers.js';
import { layerStream } from '../../../../src/oci/layers/layer-stream.js';
import { Merge } from '../../../../src/oci/layers/merge.js';
import { MOST_DEVICES, MOST_UNPACKED_BYTES } from '../../../../src/oci/limits.js';
import { digestOf } from '../../../../src/oci-names/digest.js';
import { rejectsWith, throwsWith } from '../../../helpers/errors.js';
import { imageOfMerge, memoryLayer } from '../../../helpers/oci/layers.js';
import { tarHeader, tarOf } from '../../../helpers/oci/tar.js';

const tar = tarOf({ name: 'a', data: 'x'.repeat(300_000) });
const zstd = (data: Buffer) => execFileSync('zstd', ['-qc'], { input: data });

describe('a layer', () => {
  it('may be plain, or packed with gzip or zstd', async () => {
    for (const [compression, bytes] of [
      ['none', tar],
      ['gzip', gzipSync(tar)],
      ['zstd', zstd(tar)],
    ] as const) {
      const layer = memoryLayer(bytes, { compression, diffId: digestOf(tar) });
      const merge = await indexLayers([layer]);
      assert.ok((await imageOfMerge(merge, [layer])).includes('x'.repeat(1000)));
    }
  });

  for (const [what, layer, code, pattern] of [
    [
      'with another content',
      memoryLayer(tar, { diffId: digestOf(Buffer.from('x')) }),
      'digest-wrong',
      /content of layer 1/,
    ],
    [
      'with more behind its archive',
      memoryLayer(Buffer.concat([tar, Buffer.alloc(1)]), { diffId: digestOf(tar) }),
      'digest-wrong',
      /layer 1/,
    ],
    ['that is no archive', memoryLayer(Buffer.alloc(1000, 'x')), 'layer-invalid', /layer 1 is no tar archive/],
    ['that is cut off', memoryLayer(tar.subarray(0, 100_000)), 'layer-invalid', /layer 1 is cut off/],
    ['that is not packed', memoryLayer(tar, { compression: 'gzip' }), 'layer-invalid', /is damaged \(gzip\)/],
    [
      'that is cut off and packed',
      memoryLayer(gzipSync(tar).subarray(0, 100), { compression: 'gzip' }),
      'layer-invalid',
      /damaged/,
    ],
    [
      'that is not packed like that',
      memoryLayer(gzipSync(tar), { compression: 'zstd' }),
      'layer-invalid',
      /is damaged \(zstd\)/,
    ],
    ['with a file of a terabyte', memoryLayer(tarOf({ name: 'a', size: 2 ** 40 })), 'layer-invalid', /is cut off/],
    [
      'with holes of a terabyte',
      memoryLayer(tarOf({ name: 'a', pax: { 'GNU.sparse.major': '1', 'GNU.sparse.realsize': `${2 ** 40}` } })),
      'layer-invalid',
      /holes/,
    ],
  ] as const) {
    it(`${what} is refused`, async () => void (await rejectsWith(indexLayers([layer]), code, pattern)));
  }

  it('that unpacks to more than an image may have is refused', async () => {
    const unpacked = { count: MOST_UNPACKED_BYTES - 1000 };
    const stream = layerStream(memoryLayer(tar), unpacked, { pass: 1 });
    await rejectsWith(
      (async () => {
        for await (const _piece of stream);
      })(),
      'layer-too-large',
    );
  });

  it('is not read on when the work is cancelled', async () => {
    const controller = new AbortController();
    let isOpen = 0;
    const layer = memoryLayer(tar, {
      open: async function* () {
        isOpen += 1;
        try {
          yield tarHeader({ name: 'a' }, 2 ** 30);
          controller.abort();
          for (;;) yield Buffer.alloc(1000);
        } finally {
          isOpen -= 1;
        }
      },
    });
    await rejectsWith(indexLayers([layer], controller.signal), 'aborted');
    assert.equal(isOpen, 0);
  });

  it('is let go when it is refused', async () => {
    let isOpen = 0;
    const layer = memoryLayer(tar, {
      open: async function* () {
        isOpen += 1;
        try {
          yield tarOf({ name: '../a' });
          for (;;) yield Buffer.alloc(1000);
        } finally {
          isOpen -= 1;
        }
      },
    });
    await rejectsWith(indexLayers([layer]), 'layer-invalid');
    assert.equal(isOpen, 0);
  });
});

describe('an image', () => {
  const entry = { link: '', mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0, major: 0, minor: 0, position: 0 };
  const xattrs = new Map<string, string>();

  it('has a bounded number of devices', () => {
    const merge = new Merge();
    merge.beginLayer('layer 1');
    const add = () => {
      for (let at = 0; at <= MOST_DEVICES; at += 1)
        merge.apply({ ...entry, xattrs, name: `dev/n${at}`, type: 'character', minor: 1 });
    };
    throwsWith(add, 'layer-too-large', /device node 4097/);
  });

  it('has a bounded number of entries, and needs few bytes for each', () => {
    const most = 100_000;
    const merge = new Merge({ entries: most });
    merge.beginLayer('layer 1');
    const usage = () => process.memoryUsage().arrayBuffers;
    const before = usage();
    const add = () => {
      for (let at = 0; at <= most; at += 1)
        merge.apply({ ...entry, xattrs, name: `d${at % 1000}/f${at}`, type: 'file' });
    };
    throwsWith(add, 'layer-too-large', /entry 100001/);
    const perEntry = (usage() - before) / most;
    assert.ok(perEntry < 160, `${perEntry}`);
  });

  it('has a bounded number of directories that no entry names', () => {
    const merge = new Merge({ entries: 10_000 });
    merge.beginLayer('layer 1');
    const add = () => {
      for (let at = 0; at < 100; at += 1)
        merge.apply({ ...entry, xattrs, name: `${at}/${'a/'.repeat(2000)}f`, type: 'file' });
    };
    throwsWith(add, 'layer-too-large', /^image: layer 1 has entry 10001 of an image.*, at the entry '4\/a\//);
  });

  it('has a bounded number of bytes in all its paths, and those that are removed do not count', () => {
    const merge = new Merge({ paths: 100_000 });
    const add = (from: string) => {
      for (let at = 0; at < 30; at += 1)
        merge.apply({ ...entry, xattrs, name: `${from}/${'a/'.repeat(10)}${'b/'.repeat(50)}${at}`, type: 'file' });
    };
    for (let at = 0; at < 100; at += 1) {
      merge.beginLayer(`layer ${at}`);
      merge.apply({ ...entry, xattrs, name: '.wh..wh..opq', type: 'file' });
      add('d');
    }
    throwsWith(
      () => {
        for (let at = 0; at < 100; at += 1) add(`${at}`);
      },
      'layer-too-large',
      /^image: layer 99 has paths of more than 100000 bytes in an image, at the entry/,
    );
  });

  it('is merged in a bounded number of steps, also over links of nothing but slashes', () => {
    for (const link of [`${'/'.repeat(4000)}d`, `${'./'.repeat(1900)}d`, `${'d/../'.repeat(700)}d`]) {
      const merge = new Merge({ steps: 100_000 });
      merge.beginLayer('layer 1');
      merge.apply({ ...entry, xattrs, name: 'd/e', type: 'directory' });
      merge.apply({ ...entry, xattrs, name: 'l', type: 'symlink', link });
      const add = () => {
        for (let at = 0; at < 100; at += 1) merge.apply({ ...entry, xattrs, name: `l/e/f${at}`, type: 'file' });
      };
      throwsWith(add, 'layer-too-large', /paths of more than 100000 parts in an image/);
    }
  });

  it('has a bounded number of bytes in names that AUFS keeps for itself', () => {
    const merge = new Merge();
    merge.beginLayer('layer 1');
    const add = () => {
      for (let at = 0; at < 5000; at += 1)
        merge.apply({ ...entry, xattrs, name: `.wh..wh.plnk/${'a/'.repeat(2000)}${at}`, type: 'file' });
    };
    throwsWith(add, 'layer-too-large', /bytes of names of AUFS/);
  });

  it('has bounded attributes, also of directories, which stay in memory until the end', () => {
    const merge = new Merge();
    merge.beginLayer('layer 1');
    const add = () => {
      // Each is another one, of 60 KB.
      for (let at = 0; at < 1000; at += 1) {
        const large = new Map([['user.a', `${at}`.padStart(60_000, 'x')]]);
        merge.apply({ ...entry, xattrs: large, name: `d${at}`, type: 'directory' });
      }
    };
    throwsWith(add, 'layer-too-large', /more than 33554432 bytes in an image, at the entry 'd\d+'/);
  });

  it('is merged in time that grows with its entries, also if each hides everything', () => {
    const merge = new Merge();
    merge.beginLayer('layer 1');
    for (let at = 0; at < 20_000; at += 1) merge.apply({ ...entry, xattrs, name: `d/f${at}`, type: 'file' });
    merge.beginLayer('layer 2');
    for (let at = 0; at < 20_000; at += 1) merge.apply({ ...entry, xattrs, name: `d/n${at}`, type: 'file' });
    for (let at = 0; at < 20_000; at += 1) merge.apply({ ...entry, xattrs, name: 'd/.wh..wh..opq', type: 'file' });
    for (let at = 0; at < 20_000; at += 1) merge.apply({ ...entry, xattrs, name: '.wh.d', type: 'file' });
    assert.equal(merge.tree.children(merge.tree.child(merge.tree.root, 'd')).length, 20_000);
  });
});
