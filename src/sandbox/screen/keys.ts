/** Names of keys, and the keys of characters on a keyboard with the American layout, which guests have by default. */
import { quote } from '../../config/errors.js';
import { screenError } from './errors.js';

/** A key by QEMU's name for it: https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html#enum-QMP-ui.QKeyCode */
export type KeyCode = string;

/** A key with those that are held down meanwhile, in the order in which they go down. */
export type Chord = readonly KeyCode[];

const SHIFT = 'shift';

const MODIFIERS: ReadonlyMap<string, KeyCode> = new Map(
  Object.entries({
    ctrl: 'ctrl',
    control: 'ctrl',
    shift: SHIFT,
    alt: 'alt',
    altgr: 'alt_r',
    super: 'meta_l',
    meta: 'meta_l',
  }),
);

/** By names in small letters; the first ones are those of browsers. */
const NAMED: ReadonlyMap<string, KeyCode> = new Map(
  Object.entries({
    enter: 'ret',
    return: 'ret',
    escape: 'esc',
    esc: 'esc',
    backspace: 'backspace',
    tab: 'tab',
    space: 'spc',
    arrowup: 'up',
    arrowdown: 'down',
    arrowleft: 'left',
    arrowright: 'right',
    up: 'up',
    down: 'down',
    left: 'left',
    right: 'right',
    home: 'home',
    end: 'end',
    pageup: 'pgup',
    pagedown: 'pgdn',
    insert: 'insert',
    delete: 'delete',
    menu: 'menu',
    printscreen: 'print',
    capslock: 'caps_lock',
    ...Object.fromEntries(Array.from({ length: 12 }, (_, number) => [`f${number + 1}`, `f${number + 1}`])),
  }),
);

/** Keys with two characters: without Shift, and with it. */
const TWO: readonly (readonly [KeyCode, string])[] = [
  ...[...'1!2@3#4$5%6^7&8*9(0)'].flatMap((character, at, all) =>
    at % 2 === 0 ? [[character, character + (all[at + 1] ?? '')] as const] : [],
  ),
  ...[...'abcdefghijklmnopqrstuvwxyz'].map((letter) => [letter, letter + letter.toUpperCase()] as const),
  ['minus', '-_'],
  ['equal', '=+'],
  ['bracket_left', '[{'],
  ['bracket_right', ']}'],
  ['semicolon', ';:'],
  ['apostrophe', '\'"'],
  ['grave_accent', '`~'],
  ['backslash', '\\|'],
  ['comma', ',<'],
  ['dot', '.>'],
  ['slash', '/?'],
];

const OF_CHARACTERS: ReadonlyMap<string, Chord> = new Map<string, Chord>([
  ...TWO.flatMap(([code, [plain = '', shifted = '']]): [string, Chord][] => [
    [plain, [code]],
    [shifted, [SHIFT, code]],
  ]),
  [' ', ['spc']],
  ['\n', ['ret']],
  ['\t', ['tab']],
]);

/** The two characters of a key, without Shift and with it; undefined: it has none. */
export function charactersOf(code: KeyCode): string | undefined {
  return TWO.find(([key]) => key === code)?.[1];
}

/**
 * The keys that write a text.
 * @throws {SandboxError} `text-not-typable`
 */
export function chordsOf(text: string): Chord[] {
  return [...text].map((character) => {
    const chord = OF_CHARACTERS.get(character);
    if (chord !== undefined) return chord;
    throw screenError(
      'text-not-typable',
      `the character ${quote(character)} is on no key of an American keyboard`,
      'write it inside, as into a file that the program reads, or paste it there',
    );
  });
}

/**
 * Reads `ctrl+c`, `Enter`, `alt+F4`. Small and large letters of names are the same; a single character is its key.
 * @throws {SandboxError} `key-unknown`
 */
export function chordOf(name: string): Chord {
  const words = name === '+' ? ['+'] : name.replace(/\+\+$/, '+plus').split('+');
  const last = words.pop() ?? '';
  const held = words.map((word) => MODIFIERS.get(word.toLowerCase()));
  const key = last === 'plus' ? OF_CHARACTERS.get('+') : (OF_CHARACTERS.get(last) ?? named(last));
  if (key !== undefined && held.every((code) => code !== undefined)) return [...new Set([...held, ...key])];
  throw screenError(
    'key-unknown',
    `there is no key ${quote(name)}`,
    `name one character, or ${['Enter', 'Tab', 'Escape', 'Backspace', 'Delete', 'ArrowUp', 'PageDown', 'F1'].join(', ')} and the like, with ctrl+, alt+, shift+ or super+ before it`,
  );
}

function named(word: string): Chord | undefined {
  const small = word.toLowerCase();
  const code = NAMED.get(small) ?? MODIFIERS.get(small);
  return code === undefined ? undefined : [code];
}
