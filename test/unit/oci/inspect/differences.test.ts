/** What differs between images, and what a top layer changes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { imageDifferences, topChanges } from '../../../../src/oci/inspect/differences.js';
import type { Difference } from '../../../../src/oci/layers/compare-names.js';
import { pullImage } from '../../../../src/oci/pull/pull.js';
import { manifestOfTag } from '../../../../src/oci/store/list.js';
import type { Tag } from '../../../../src/oci/store/tags.js';
import { parseRootImage } from '../../../../src/oci-names/root-image.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { testImage, writeLayout } from '../../../helpers/oci/image.js';
import { damage, type TestStore, testStore } from '../../../helpers/oci/store.js';
import { type TarEntry, tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

type Layer = readonly TarEntry[];

/** Images of layers that are given by their entries, pulled. */
async function pulled(context: TestContext, ...images: readonly (readonly Layer[])[]): Promise<[TestStore, ...Tag[]]> {
  const store = testStore(context);
  const tags: Tag[] = [];
  for (const layers of images) {
    const image = testImage(layers.map((layer) => tarOf(...layer)));
    const layout = join(scratchDirectory(context), 'layout');
    writeLayout(layout, image.blobs, [{ blob: image.manifest }]);
    tags.push((await pullImage(parseRootImage(`oci:${layout}`), store.options)).tag);
  }
  return [store, ...tags];
}

function shown(found: readonly Difference[]): string[] {
  return found.map(({ kind, path }) => `${kind} ${path}`);
}

/** What differs between two images of one layer each. */
async function between(context: TestContext, before: Layer, after: Layer): Promise<string[]> {
  const [store, old, now] = await pulled(context, [before], [after]);
  assert.ok(old !== undefined && now !== undefined);
  return shown(await imageDifferences(store.paths, old, now));
}

const LARGE = randomBytes(3 << 20);

describe('two images', () => {
  const xattr = (name: string, value: string) => ({ pax: { [`SCHILY.xattr.${name}`]: value } });
  const many = (value: string) =>
    Array.from({ length: 8 }, (_, at) => ({ name: `f${at}`, data: 'x', ...xattr('user.a', value) }));
  for (const [what, before, after, differences] of [
    ['are the same', [{ name: 'a', data: 'x' }], [{ name: 'a', data: 'x', mtime: 5 }], []],
    ['have other contents of the same size', [{ name: 'a', data: 'x' }], [{ name: 'a', data: 'y' }], ['C /a']],
    [
      'differ at the end of a large file',
      [{ name: 'd/a', data: LARGE }],
      [{ name: 'd/a', data: Buffer.concat([LARGE.subarray(1), Buffer.from('x')]) }],
      ['C /d', 'C /d/a'],
    ],
    ['have another mode', [{ name: 'a' }], [{ name: 'a', mode: 0o4755 }], ['C /a']],
    [
      'have other owners',
      [{ name: 'a' }, { name: 'b' }],
      [
        { name: 'a', uid: 70_000 },
        { name: 'b', gid: 5 },
      ],
      ['C /a', 'C /b'],
    ],
    ['have another root', [{ name: './', type: '5', mode: 0o700 }], [{ name: './', type: '5' }], ['C /']],
    ['have other kinds', [{ name: 'a', data: 'x' }], [{ name: 'a', type: '6' }], ['C /a']],
    ['have other links', [{ name: 'a', type: '2', link: 'x' }], [{ name: 'a', type: '2', link: 'y' }], ['C /a']],
    [
      'have other devices',
      [
        { name: 'a', type: '3', major: 1, minor: 3 },
        { name: 'b', type: '4', major: 8 },
      ],
      [
        { name: 'a', type: '3', major: 1, minor: 5 },
        { name: 'b', type: '4', major: 8 },
      ],
      ['C /a'],
    ],
    [
      'have one file by two names, or two files',
      [
        { name: 'a', data: 'x' },
        { name: 'b', type: '1', link: 'a' },
      ],
      [
        { name: 'a', data: 'x' },
        { name: 'b', data: 'x' },
      ],
      [],
    ],
    [
      'have other attributes',
      [{ name: 'a', ...xattr('user.x', '1') }],
      [{ name: 'a', ...xattr('user.x', '2') }],
      ['C /a'],
    ],
    [
      'have attributes of other names',
      [{ name: 'a', ...xattr('user.x', '1') }],
      [{ name: 'a', ...xattr('user.y', '1') }],
      ['C /a'],
    ],
    // Those of many files are in another place of the image than those of one.
    [
      'have the same attributes',
      [...many('1').slice(0, 1), { name: 'g' }],
      [...many('1').slice(0, 1), { name: 'g' }],
      [],
    ],
    [
      'share attributes, and one does not',
      many('1'),
      [...many('1').slice(0, 7), { name: 'f7', data: 'x', ...xattr('user.a', '2') }],
      ['C /f7'],
    ],
    [
      'lack what was in a directory',
      [{ name: 'd/e/f' }, { name: 'd/g' }],
      [{ name: 'd/g' }],
      ['C /d', 'D /d/e', 'D /d/e/f'],
    ],
    ['have a file where a directory was', [{ name: 'd/e' }], [{ name: 'd', data: 'x' }], ['C /d', 'D /d/e']],
    ['have names in the order of their parts', [], [{ name: 'a-b' }, { name: 'a/b' }], ['A /a', 'A /a/b', 'A /a-b']],
  ] as const satisfies readonly (readonly [string, Layer, Layer, readonly string[]])[])
    it(what, async (context) => assert.deepEqual(await between(context, before, after), differences));

  it('are not compared when one is gone or is no file system', async (context) => {
    const [store, old, now] = await pulled(context, [[{ name: 'a' }]], [[{ name: 'b' }]]);
    assert.ok(old !== undefined && now !== undefined);
    const path = join(store.paths.root(now.root), 'root.erofs');
    const { size } = statSync(path);
    rmSync(path);
    await rejectsWith(imageDifferences(store.paths, old, now), 'root-missing', /pull the image again/);
    writeFileSync(path, Buffer.alloc(size));
    await rejectsWith(imageDifferences(store.paths, old, now), 'root-damaged', /virt-sandbox-image verify/);
  });
});

describe('a top layer', () => {
  const lower: Layer = [
    { name: 'etc/', type: '5' },
    { name: 'etc/a', data: 'a' },
    { name: 'etc/b', data: 'b' },
    { name: 'srv/x/y', data: 'y' },
  ];
  for (const [what, layers, changes] of [
    ['alone adds all', [[{ name: 'a/b' }]], ['A /a', 'A /a/b']],
    ['without a change changes nothing', [lower, [{ name: 'etc/', type: '5', mtime: 9 }]], []],
    ['changes what it has', [lower, [{ name: 'etc/a', data: 'a' }]], ['C /etc', 'C /etc/a']],
    [
      'removes',
      [lower, [{ name: 'etc/.wh.a' }, { name: '.wh.srv' }]],
      ['C /etc', 'D /etc/a', 'D /srv', 'D /srv/x', 'D /srv/x/y'],
    ],
    [
      'hides',
      [lower, [{ name: 'etc/.wh..wh..opq' }, { name: 'etc/c' }]],
      ['C /etc', 'D /etc/a', 'D /etc/b', 'A /etc/c'],
    ],
    ['makes a directory private', [lower, [{ name: 'etc/', type: '5', mode: 0o700 }]], ['C /etc']],
    [
      'replaces a directory',
      [lower, [{ name: 'srv/x', type: '2', link: '/etc' }]],
      ['C /srv', 'C /srv/x', 'D /srv/x/y'],
    ],
    ['is the only one that counts', [lower, [{ name: 'etc/c' }], [{ name: 'etc/d' }]], ['C /etc', 'A /etc/d']],
    ['adds a name of a file below', [lower, [{ name: 'etc/c', type: '1', link: 'etc/a' }]], ['C /etc', 'A /etc/c']],
  ] as const satisfies readonly (readonly [string, readonly Layer[], readonly string[]])[])
    it(what, async (context) => {
      const [store, tag] = await pulled(context, layers);
      assert.ok(tag !== undefined);
      assert.deepEqual(shown(await topChanges(store.paths, tag)), changes);
    });

  it('that is damaged says so', async (context) => {
    const [store, tag] = await pulled(context, [lower]);
    assert.ok(tag !== undefined);
    const [layer] = manifestOfTag(store.paths, tag).layers;
    assert.ok(layer !== undefined);
    damage(store.paths.blob(layer.digest));
    await rejectsWith(topChanges(store.paths, tag), 'store-damaged', /pull the image again/);
  });
});
