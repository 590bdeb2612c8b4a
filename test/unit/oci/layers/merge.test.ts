/** How layers are merged: what a layer adds, replaces and removes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rejectsWith } from '../../../helpers/errors.js';
import { readErofs } from '../../../helpers/oci/erofs.js';
import { merged, mergedEntries, mergedImage } from '../../../helpers/oci/layers.js';
import type { TarEntry } from '../../../helpers/oci/tar.js';

const file = (name: string, data = 'x', more: Partial<TarEntry> = {}): TarEntry => ({ name, data, ...more });
const directory = (name: string, mode = 0o755): TarEntry => ({ name, type: '5', mode });
const soft = (name: string, link: string): TarEntry => ({ name, type: '2', link });
const hard = (name: string, link: string): TarEntry => ({ name, type: '1', link });
const device = (major: number, minor: number): TarEntry => ({ name: 'n', type: '4', major, minor });
/** A file with attributes of so many bytes, whose names differ in their last character. */
const attributes = (name: string, length = 1, count = 1): TarEntry => {
  const names = [name, `${name.slice(0, -1)}b`, `${name.slice(0, -1)}c`].slice(0, count);
  return file('a', 'x', {
    pax: Object.fromEntries(names.map((one) => [`SCHILY.xattr.${one}`, 'x'.repeat(length)])),
  });
};

/** A case: its layers, and what they are merged to. */
type Case = readonly [what: string, layers: readonly (readonly TarEntry[])[], result: readonly string[]];

const CASES: Readonly<Record<string, readonly Case[]>> = {
  'a layer': [
    ['replaces a file', [[file('a', '1')], [file('a', '2')]], ['a: 2']],
    [
      'gives a directory other attributes',
      [[directory('d', 0o700), file('d/a')], [directory('d', 0o711)]],
      ['d/ 711', 'd/a: x'],
    ],
    [
      'keeps the attributes of a directory that it only adds to',
      [[directory('d', 0o700)], [file('d/a')]],
      ['d/ 700', 'd/a: x'],
    ],
    ['makes parents that nobody has', [[file('a/b/c')]], ['a/ 755', 'a/b/ 755', 'a/b/c: x']],
    ['may name a directory after what is in it', [[file('d/a'), directory('d', 0o700)]], ['d/ 700', 'd/a: x']],
    ['replaces a directory by a file', [[directory('d'), file('d/a')], [file('d', '2')]], ['d: 2']],
    ['replaces a file by a directory', [[file('d')], [directory('d'), file('d/a')]], ['d/ 755', 'd/a: x']],
    [
      'replaces a link by a directory',
      [
        [directory('e'), soft('d', 'e')],
        [directory('d'), file('d/a')],
      ],
      ['d/ 755', 'd/a: x', 'e/ 755'],
    ],
    [
      'replaces a link and not what it leads to',
      [[file('a', '1'), soft('l', 'a')], [file('l', '2')]],
      ['a: 1', 'l: 2'],
    ],
    [
      'with two entries of one name has the last',
      [[file('a', '1'), file('a', '2'), directory('b'), soft('b', 'a')]],
      ['a: 2', 'b -> a'],
    ],
    [
      'has devices and pipes',
      [
        [
          { name: 'm', type: '4', major: 4095, minor: 1_048_575 },
          { name: 'n', type: '3', major: 1, minor: 3 },
          { name: 'p', type: '6' },
        ],
      ],
      ['m block 4095,1048575', 'n character 1,3', 'p fifo'],
    ],
    [
      'names things with dots and slashes',
      [[file('/a', '1'), file('./b/./c'), directory('.//d//')]],
      ['a: 1', 'b/ 755', 'b/c: x', 'd/ 755'],
    ],
  ],
  'a whiteout': [
    ['removes what lower layers have', [[file('a'), file('b')], [file('.wh.a', '')]], ['b: x']],
    ['removes a directory', [[directory('d'), file('d/a/b')], [file('.wh.d', '')]], []],
    [
      'removes nothing of its own layer, before or behind it',
      [[file('a', '1')], [file('a', '2'), file('.wh.a', '')]],
      ['a: 2'],
    ],
    [
      'of a directory leaves what its layer has in it',
      [
        [directory('d', 0o700), file('d/a')],
        [file('d/b'), file('.wh.d', '')],
      ],
      ['d/ 755', 'd/b: x'],
    ],
    [
      'of a directory that is there again',
      [
        [directory('d', 0o700), file('d/a')],
        [file('.wh.d', ''), directory('d', 0o711)],
      ],
      ['d/ 711'],
    ],
    ['of nothing is none', [[file('a')], [file('.wh.b', ''), file('x/y/.wh.z', '')]], ['a: x']],
    [
      'of a link leaves what it leads to',
      [[directory('e'), file('e/a'), soft('d', 'e')], [file('.wh.d', '')]],
      ['e/ 755', 'e/a: x'],
    ],
    [
      'over a link',
      [[directory('usr/lib'), file('usr/lib/a'), soft('lib', 'usr/lib')], [file('lib/.wh.a', '')]],
      ['lib -> usr/lib', 'usr/ 755', 'usr/lib/ 755'],
    ],
    ['holds for the layers below it only', [[file('a', '1')], [file('.wh.a', '')], [file('a', '3')]], ['a: 3']],
  ],
  'an opaque directory': [
    [
      'hides what lower layers have',
      [
        [directory('d', 0o700), file('d/a'), file('d/b/c')],
        [file('d/.wh..wh..opq', ''), file('d/n')],
      ],
      ['d/ 700', 'd/n: x'],
    ],
    [
      'hides nothing of its own layer, wherever it stands',
      [[file('d/a')], [file('d/n'), file('d/b/n'), file('d/.wh..wh..opq', '')]],
      ['d/ 755', 'd/b/ 755', 'd/b/n: x', 'd/n: x'],
    ],
    [
      'may be the root',
      [
        [file('a'), file('d/b')],
        [file('.wh..wh..opq', ''), file('n')],
      ],
      ['n: x'],
    ],
    ['that is nowhere is none', [[file('a')], [file('d/.wh..wh..opq', '')]], ['a: x']],
    [
      'twice is the same',
      [[file('d/a')], [file('d/.wh..wh..opq', ''), file('d/n'), file('d/.wh..wh..opq', '')]],
      ['d/ 755', 'd/n: x'],
    ],
    ['what else AUFS writes is left out', [[file('.wh..wh.plnk/1'), file('.wh..wh.aufs', ''), file('a')]], ['a: x']],
    [
      'what AUFS keeps of hard links gets their names',
      [
        [
          file('.wh..wh.plnk/12.34', '1'),
          hard('a', '.wh..wh.plnk/12.34'),
          hard('b', './.wh..wh.plnk/12.34'),
          file('.wh..wh.plnk/unused'),
        ],
      ],
      ['a: 1', 'b = a'],
    ],
  ],
  'a hard link': [
    ['is one more name', [[file('b', '1'), hard('a', 'b')]], ['a: 1', 'b = a']],
    ['may lead to a lower layer', [[file('d/b', '1')], [hard('a', './d/b')]], ['a: 1', 'd/ 755', 'd/b = a']],
    ['outlives a whiteout of the other name', [[file('b', '1')], [hard('a', 'b'), file('.wh.b', '')]], ['a: 1']],
    ['outlives that its target is replaced', [[file('b', '1'), hard('a', 'b')], [file('b', '2')]], ['a: 1', 'b: 2']],
    ['leads to what was there then', [[file('b', '1'), hard('a', 'b'), file('b', '2')]], ['a: 1', 'b: 2']],
    ['to a link is one', [[soft('b', 'x'), hard('a', 'b')]], ['a -> x', 'b = a']],
    [
      'over links',
      [[directory('usr/lib'), file('usr/lib/b', '1'), soft('lib', '/usr/lib')], [hard('a', '/lib/b')]],
      ['a: 1', 'lib -> /usr/lib', 'usr/ 755', 'usr/lib/ 755', 'usr/lib/b = a'],
    ],
    ['to itself is nothing', [[file('b', '1'), hard('b', 'b')]], ['b: 1']],
    ['replaces a directory that its target is in', [[file('d/b', '1'), hard('d', 'd/b')]], ['d: 1']],
  ],
  'a parent that is a link': [
    [
      'is followed in the image',
      [[directory('usr/lib'), soft('lib', 'usr/lib')], [file('lib/a')]],
      ['lib -> usr/lib', 'usr/ 755', 'usr/lib/ 755', 'usr/lib/a: x'],
    ],
    [
      'is followed from the root',
      [[directory('usr/lib'), soft('x/lib', '/usr/lib')], [file('x/lib/a')]],
      ['usr/ 755', 'usr/lib/ 755', 'usr/lib/a: x', 'x/ 755', 'x/lib -> /usr/lib'],
    ],
    [
      'leads no further than the root',
      [[soft('l', '../../../e')], [file('l/a')]],
      ['e/ 755', 'e/a: x', 'l -> ../../../e'],
    ],
    [
      'that leads to nothing gets its directories',
      [[soft('l', 'e/f')], [file('l/a')]],
      ['e/ 755', 'e/f/ 755', 'e/f/a: x', 'l -> e/f'],
    ],
    ['may be one of its own layer', [[directory('e'), soft('l', 'e'), file('l/a')]], ['e/ 755', 'e/a: x', 'l -> e']],
    [
      'over another',
      [[directory('e'), soft('m', './e'), soft('l', 'm/.')], [file('l/a')]],
      ['e/ 755', 'e/a: x', 'l -> m/.', 'm -> ./e'],
    ],
    [
      'may have a name of 255 bytes, which can be removed again',
      [
        [soft('l', 'n'.repeat(255)), file('l/x')],
        [file('.wh..wh..opq', ''), file('a')],
      ],
      ['a: x'],
    ],
  ],
};

for (const [subject, cases] of Object.entries(CASES)) {
  describe(subject, () => {
    for (const [what, layers, result] of cases) it(what, async () => assert.deepEqual(await merged(...layers), result));
  });
}

describe('an entry', () => {
  for (const [what, layers, pattern] of [
    ['that leads out', [[file('a/../../b')]], /leads out of the image/],
    ['that is a hard link which leads out', [[file('b'), hard('a', '../b')]], /leads out of the image/],
    ['that is a hard link to nothing', [[hard('a', 'b')]], /'a', which is a hard link to what is not there/],
    [
      'that is a hard link to what AUFS kept in a lower layer',
      [[file('.wh..wh.plnk/1')], [hard('a', '.wh..wh.plnk/1')]],
      /not there/,
    ],
    ['that is a hard link to a directory', [[directory('d'), hard('a', 'd')]], /to a directory/],
    ['that is a hard link to what is removed', [[file('b')], [file('.wh.b', ''), hard('a', 'b')]], /not there/],
    ['below a file', [[file('a')], [file('a/b')]], /layer 2 .*below something that is no directory/],
    ['below links in a circle', [[soft('a', 'b'), soft('b', 'a')], [file('a/c')]], /lead to each other/],
    [
      'below links that lead far',
      [
        Array.from({ length: 5 }, (_, at) => soft(`l${at}`, `${'x/../'.repeat(700)}l${at + 1}`)),
        [directory('l5'), file('l0/c')],
      ],
      /directories away/,
    ],
    ['that is a whiteout of nothing', [[file('.wh.', '')]], /removes nothing/],
    ['that is a whiteout of its directory', [[file('a/.wh...', '')]], /removes nothing/],
    ['below a whiteout', [[file('.wh.a/b')]], /below a whiteout/],
    ['below a link to a whiteout', [[soft('l', '.wh.a'), file('l/b')]], /below a whiteout/],
    ['that is the root as a file', [[file('./', 'x', { type: '1', link: 'a' })]], /is the root/],
    ['with a long name', [[file('n'.repeat(256))]], /more than 255 bytes/],
    [
      // What is removed again has to be found by its name.
      'below a link with a long part',
      [[soft('l', 'n'.repeat(300)), file('l/x')], [file('.wh..wh..opq', '')]],
      /'l\/x', which has a name of more than 255 bytes/,
    ],
    ['below a link with a long path', [[soft('l', 'nnn/'.repeat(1000)), file(`l/${'m/'.repeat(60)}x`)]], /4095 bytes/],
    ['with a long path', [[file('n/'.repeat(2100))]], /more than 4095 bytes/],
    ['with an owner that no system has', [[file('a', 'x', { uid: 2 ** 32 - 1 })]], /owner/],
    ['with a device of a large major number', [[device(4096, 0)]], /device that no system has/],
    ['with a device of a large minor number', [[device(1, 2 ** 20)]], /device that no system has/],
    ['with a device of a huge minor number', [[device(1, 2 ** 52)]], /device that no system has/],
    ['with many attributes', [[attributes('user.a', 50_000, 3)]], /more than 131072 bytes of attributes/],
    // EROFS has one byte for the length of a name, and two for that of a value.
    ['with a large attribute', [[attributes('user.a', 65_536)]], /an attribute of more than 65535 bytes/],
    ['with a long name of an attribute', [[attributes(`user.${'a'.repeat(251)}`)]], /a name of more than 255 bytes/],
    ['with an attribute without a name', [[attributes('user.')]], /a name that is none/],
    ['with an attribute with a zero in its name', [[attributes('user.a\0b')]], /a name that is none/],
    ['that links to nothing', [[soft('a', '')]], /links to nothing/],
  ] as const) {
    it(`${what} is refused by its name and layer`, async () => {
      await rejectsWith(merged(...layers), 'layer-invalid', /^image: layer [12] has the entry '/, pattern);
    });
  }

  it('has a name that is shown, whatever it is', async () => {
    const error = await rejectsWith(merged([hard('\u001b[31m\nö', 'b')]), 'layer-invalid', /\\u\{1b\}\[31m\\nö/);
    assert.ok(!error.line.includes('\u001b'));
  });
});

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
