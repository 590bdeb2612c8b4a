/** Entries that no image can have: they are refused, each by its name and layer. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rejectsWith } from '../../../helpers/errors.js';
import { directory, file, hard, soft } from '../../../helpers/oci/entries.js';
import { merged } from '../../../helpers/oci/layers.js';
import type { TarEntry } from '../../../helpers/oci/tar.js';

const device = (major: number, minor: number): TarEntry => ({ name: 'n', type: '4', major, minor });
/** A file with attributes of so many bytes, whose names differ in their last character. */
const attributes = (name: string, length = 1, count = 1): TarEntry => {
  const names = [name, `${name.slice(0, -1)}b`, `${name.slice(0, -1)}c`].slice(0, count);
  return file('a', 'x', {
    pax: Object.fromEntries(names.map((one) => [`SCHILY.xattr.${one}`, 'x'.repeat(length)])),
  });
};
/** The name of an attribute, of 219 bytes. */
const longName = (at: number) => `SCHILY.xattr.user.${`${at}`.padStart(214, 'n')}`;

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
    ['with the device 0:0', [[{ name: 'n', type: '3' }]], /which overlays take for a removed file/],
    [
      'with many names of attributes',
      [[file('a', 'x', { pax: Object.fromEntries(Array.from({ length: 300 }, (_, at) => [longName(at), ''])) })]],
      /more than 65536 bytes of names of attributes/,
    ],
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
