/** How layers are merged: what a layer adds, replaces and removes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { directory, file, hard, soft } from '../../../helpers/oci/entries.js';
import { merged } from '../../../helpers/oci/layers.js';
import type { TarEntry } from '../../../helpers/oci/tar.js';

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
