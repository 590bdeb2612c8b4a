/**
 * The names that X11 and VNC have for keys, of QEMU's: a key with a character is named for that character, and so differs
 * with Shift. The numbers are those of X11/keysymdef.h.
 */
import { quote } from '../../config/errors.js';
import { screenError } from './errors.js';
import { charactersOf, type KeyCode } from './keys.js';

const F1 = 0xffbe;

const KEYSYMS: ReadonlyMap<KeyCode, number> = new Map(
  Object.entries({
    shift: 0xffe1,
    ctrl: 0xffe3,
    alt: 0xffe9,
    alt_r: 0xfe03,
    meta_l: 0xffeb,
    ret: 0xff0d,
    esc: 0xff1b,
    backspace: 0xff08,
    tab: 0xff09,
    spc: 0x20,
    left: 0xff51,
    up: 0xff52,
    right: 0xff53,
    down: 0xff54,
    home: 0xff50,
    end: 0xff57,
    pgup: 0xff55,
    pgdn: 0xff56,
    insert: 0xff63,
    delete: 0xffff,
    menu: 0xff67,
    print: 0xff61,
    caps_lock: 0xffe5,
    ...Object.fromEntries(Array.from({ length: 12 }, (_, number) => [`f${number + 1}`, F1 + number])),
  }),
);

/**
 * @param keys QEMU's names, in the order in which the keys go down
 * @throws {SandboxError} `key-unknown`
 */
export function keysymsOf(keys: readonly KeyCode[]): number[] {
  const isShifted = keys.includes('shift');
  return keys.map((code) => {
    const keysym = charactersOf(code)?.codePointAt(isShifted ? 1 : 0) ?? KEYSYMS.get(code);
    if (keysym !== undefined) return keysym;
    throw screenError('key-unknown', `there is no key ${quote(code)}`, 'name one of those that a keyboard has');
  });
}
