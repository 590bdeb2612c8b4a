/** What is merged has the attributes that its layers say, and is the same each time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { directory, file } from '../../../helpers/oci/entries.js';
import { readErofs } from '../../../helpers/oci/erofs.js';
import { mergedEntries, mergedImage } from '../../../helpers/oci/layers.js';
import type { TarEntry } from '../../../helpers/oci/tar.js';

describe('what is merged', () => {
  it('has attributes of users, and not those of a host', async () => {
    const value = Buffer.from('0100000280ff', 'hex');
    const pax = {
      'SCHILY.xattr.security.capability': value,
      'SCHILY.xattr.user.a': 'b',
      'SCHILY.xattr.security.selinux': 'c',
      'SCHILY.xattr.trusted.overlay.opaque': 'y',
      // With the mount option userxattr this is overlayfs' own.
      'SCHILY.xattr.user.overlay.opaque': 'y',
    };
    const entries = await mergedEntries([file('f', 'x', { pax }), { ...directory('d'), pax }]);
    for (const name of ['f', 'd/']) {
      const xattrs = entries.find((entry) => entry.name === name)?.xattrs;
      assert.deepEqual([...(xattrs?.keys() ?? [])], ['security.capability', 'user.a']);
      assert.deepEqual(Buffer.from(xattrs?.get('security.capability') ?? '', 'latin1'), value);
    }
  });

  it('has attributes of directories as the last layer with each says, also the largest', async () => {
    const named = (entry: string, ...pairs: readonly (readonly [string, string])[]): TarEntry => ({
      ...directory(entry),
      pax: Object.fromEntries(pairs.map(([name, value]) => [`SCHILY.xattr.${name}`, value])),
    });
    const [large, longest] = ['\0=\n'.repeat(21_845), `user.${'n'.repeat(250)}`];
    const entries = await mergedEntries(
      [named('a', ['user.a', 'old']), named('b', ['user.a', 'same'], ['user.b', '']), named('c', ['user.a', 'gone'])],
      [named('a', ['user.a', large], [longest, '1']), named('d', ['user.a', 'same'], ['user.b', '']), directory('c')],
    );
    const found = new Map(entries.map(({ name, xattrs }) => [name, [...xattrs]]));
    const same = [
      ['user.a', 'same'],
      ['user.b', ''],
    ];
    assert.deepEqual(
      found.get('a/'),
      [
        [longest, '1'],
        ['user.a', large],
      ].sort(),
    );
    assert.deepEqual([found.get('b/'), found.get('c/'), found.get('d/')], [same, [], same]);
  });

  it('keeps owners, modes, times, and names in any encoding', async () => {
    const name = Buffer.from('n\xe4\xff', 'latin1');
    const long = { name: `${'d/'.repeat(120)}f`, link: 'l'.repeat(3000), type: '2' };
    const entries = await mergedEntries([
      { name, data: 'x', mode: 0o6755, uid: 3_000_000, gid: 2 ** 31, mtime: 1_700_000_000 },
      long,
    ]);
    const found = entries.find((entry) => entry.name === 'n\xe4\xff');
    assert.deepEqual([found?.mode, found?.uid, found?.gid, found?.mtime], [0o6755, 3_000_000, 2 ** 31, 1_700_000_000]);
    assert.equal(entries.find((entry) => entry.name === long.name)?.content, long.link);
  });

  it('of no layer is an empty root', async () => {
    assert.deepEqual(
      (await mergedEntries()).map(({ name, mode }) => [name, mode]),
      [['./', 0o755]],
    );
  });

  it('is the same however often a name was replaced', async () => {
    const many = Array.from({ length: 2000 }, (_, at) => file(`d${at % 70}/f${at % 900}`, `${at}`));
    const once = await mergedImage(many, [file('d3/.wh..wh..opq', '')], many.slice(0, 100));
    const again = await mergedImage(many, [file('d3/.wh..wh..opq', '')], many.slice(0, 100));
    assert.deepEqual(once, again);
    const last = new Map(many.map(({ name, data }) => [name, data]));
    const found = new Map(readErofs(once).map(({ name, content }) => [name, content]));
    for (const [name, data] of last) {
      const isHidden = String(name).startsWith('d3/');
      const upper = many.slice(0, 100).findLast((entry) => entry.name === name)?.data;
      assert.equal(found.get(String(name)), upper ?? (isHidden ? undefined : data), String(name));
    }
  });
});
