/** Names of keys, and the keys of a text. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chordOf, chordsOf } from '../../../../src/sandbox/screen/keys.js';
import { throwsWith } from '../../../helpers/errors.js';

describe('the keys of a text', () => {
  it('are those of an American keyboard', () => {
    assert.deepEqual(chordsOf('aB1!{|"~ \t\n'), [
      ['a'],
      ['shift', 'b'],
      ['1'],
      ['shift', '1'],
      ['shift', 'bracket_left'],
      ['shift', 'backslash'],
      ['shift', 'apostrophe'],
      ['shift', 'grave_accent'],
      ['spc'],
      ['tab'],
      ['ret'],
    ]);
  });

  it('are there for every character of ASCII that is seen, each with other keys', () => {
    const all = Array.from({ length: 95 }, (_, at) => String.fromCharCode(32 + at));
    const chords = chordsOf(all.join('')).map((chord) => chord.join('+'));
    assert.equal(new Set(chords).size, 95);
  });

  it('are none of other characters', () => {
    throwsWith(() => chordsOf('für'), 'text-not-typable', /"ü" is on no key/);
    throwsWith(() => chordsOf('\u001b'), 'text-not-typable', /"\\u001b"/);
  });
});

describe('a key by its name', () => {
  for (const [name, expected] of [
    ['Enter', ['ret']],
    ['ctrl+c', ['ctrl', 'c']],
    ['Ctrl+Shift+T', ['ctrl', 'shift', 't']],
    ['alt+F4', ['alt', 'f4']],
    ['+', ['shift', 'equal']],
    ['ctrl++', ['ctrl', 'shift', 'equal']],
    ['?', ['shift', 'slash']],
    ['super', ['meta_l']],
    ['shift+ArrowLeft', ['shift', 'left']],
    ['F12', ['f12']],
  ] as const)
    it(name, () => assert.deepEqual(chordOf(name), expected));

  for (const name of ['', 'F13', 'hyper+c', 'c+ctrl', 'ctrl+', 'ab', 'constructor', 'toString+a'])
    it(`is not ${JSON.stringify(name)}`, () => {
      throwsWith(() => chordOf(name), 'key-unknown');
    });
});
