/** The names that VNC has for keys. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chordOf, chordsOf } from '../../../../src/sandbox/screen/keys.js';
import { keysymsOf } from '../../../../src/sandbox/screen/keysyms.js';
import { throwsWith } from '../../../helpers/errors.js';

const SHIFT = 0xffe1;

describe('the keysyms of keys', () => {
  it('are the characters that they write', () => {
    for (let code = 32; code < 127; code += 1) {
      const [chord = []] = chordsOf(String.fromCharCode(code));
      const keysyms = keysymsOf(chord);
      assert.equal(keysyms.at(-1), code);
      assert.deepEqual(keysyms.slice(0, -1), chord.includes('shift') ? [SHIFT] : []);
    }
  });

  for (const [name, expected] of [
    ['Enter', [0xff0d]],
    ['ctrl+c', [0xffe3, 0x63]],
    ['Ctrl+Shift+T', [0xffe3, SHIFT, 0x54]],
    ['alt+F4', [0xffe9, 0xffc1]],
    ['shift+ArrowLeft', [SHIFT, 0xff51]],
    ['altgr', [0xfe03]],
    ['super', [0xffeb]],
    ['F12', [0xffc9]],
  ] as const)
    it(name, () => assert.deepEqual(keysymsOf(chordOf(name)), expected));

  it('are there for each key that has a name', () => {
    const names = [
      'backspace',
      'delete',
      'down',
      'end',
      'escape',
      'home',
      'insert',
      'left',
      'menu',
      'pagedown',
      'pageup',
    ];
    const more = ['printscreen', 'right', 'space', 'tab', 'up', 'capslock', 'meta', 'control'];
    for (const name of [...names, ...more]) assert.equal(keysymsOf(chordOf(name)).length, 1, name);
  });

  it('are none of other keys', () => {
    for (const code of ['volumeup', 'constructor']) throwsWith(() => keysymsOf([code]), 'key-unknown');
  });
});
