/** `--graphics[=vnc|spice|xvnc|none][,size=WIDTHxHEIGHT][,compositor=NAME][,resize=on|off][,listen=ADDRESS:PORT]` */
import type { SandboxError } from '../../util/errors.js';
import { option as nameOf } from '../../util/option-names.js';
import { argumentError, configError, quote } from '../errors.js';
import {
  COMPOSITORS,
  type Graphics,
  LISTEN_ADDRESSES,
  RESIZES,
  type ScreenListen,
  type ScreenSize,
  VIEWERS,
} from '../graphics-types.js';
import { MOST_PORT } from './publish.js';

export const DEFAULT_GRAPHICS: Graphics = {
  viewers: 'vnc',
  width: 1280,
  height: 800,
  compositor: 'auto',
  resize: 'on',
};

/** Pixels. Below, no desktop program has room; above, the display's description of itself (EDID) has no number. */
export const SIDE_RANGE: readonly [number, number] = [320, 4095];

/** How other programs call the number of screens. */
const SCREEN_COUNTS: ReadonlySet<string> = new Set(['monitors', 'heads', 'screens']);

/**
 * Reads what the screen is like. What is not named has its default.
 * @param option the name of the option, for messages
 * @throws {SandboxError} `graphics-unknown`, `graphics-size-invalid`, `graphics-repeated`, `graphics-one-screen`,
 *   `graphics-listen-invalid`
 */
export function parseGraphics(text: string, option: string): Graphics {
  let graphics = DEFAULT_GRAPHICS;
  const named = new Set<string>();
  for (const [index, part] of text.split(',').entries()) {
    const [, key = '', value = ''] = /^([^=]*)=(.*)$/s.exec(part) ?? (index === 0 ? ['', 'viewers', part] : ['', part]);
    if (named.has(key))
      throw argumentError('graphics-repeated', `${option} has ${quote(key)} twice`, 'give each word once');
    named.add(key);
    graphics = { ...graphics, ...read(key, value, part, option) };
  }
  return graphics;
}

function read(key: string, value: string, part: string, option: string): Partial<Graphics> {
  if (key === 'size') return parseScreenSize(value, `size of ${option}`);
  if (key === 'listen') return { listen: parseListen(value, `listen of ${option}`) };
  if (SCREEN_COUNTS.has(key)) throw oneScreen(part, option);
  const compositor = COMPOSITORS.find((name) => name === value);
  if (key === 'compositor' && compositor !== undefined) return { compositor };
  const resize = RESIZES.find((word) => word === value);
  if (key === 'resize' && resize !== undefined) return { resize };
  const viewers = VIEWERS.find((name) => name === value);
  if (key === 'viewers' && viewers !== undefined && part === value) return { viewers };
  throw unknown(part, option);
}

/** @throws {SandboxError} `graphics-size-invalid` */
function parseScreenSize(text: string, what: string): ScreenSize {
  const [, width = 0, height = 0] = /^(\d{1,5})x(\d{1,5})$/.exec(text)?.map(Number) ?? [];
  const [least, most] = SIDE_RANGE;
  if ([width, height].every((side) => side >= least && side <= most)) return { width, height };
  throw argumentError(
    'graphics-size-invalid',
    `the ${what} cannot be ${quote(text)}`,
    `write WIDTHxHEIGHT in pixels, each from ${least} to ${most}: 1280x800`,
  );
}

/** The inverse of what `listen=` reads. */
export function listenText({ address, port }: ScreenListen): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** @throws {SandboxError} `graphics-listen-invalid` */
function parseListen(text: string, what: string): ScreenListen {
  const [, bracketed, plain, digits = ''] = /^(?:\[(.*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const address = LISTEN_ADDRESSES.find((one) => one === (one.includes(':') ? bracketed : plain));
  const port = Number(digits);
  if (address !== undefined && port <= MOST_PORT) return { address, port };
  throw argumentError(
    'graphics-listen-invalid',
    `the ${what} cannot be ${quote(text)}: VNC is not encrypted, so that it is for this host alone`,
    `write 127.0.0.1:PORT or [::1]:PORT, with 0 for a free port; for another host open a tunnel there: ` +
      'ssh -L PORT:127.0.0.1:PORT THIS-HOST',
  );
}

/**
 * What is wrong with a screen as a whole.
 * @throws {SandboxError} `graphics-listen-needs-vnc`, `graphics-xvnc-compositor`
 */
export function checkGraphics({ viewers, compositor, listen }: Graphics): void {
  if (viewers === 'xvnc' && compositor !== 'auto')
    throw configError(
      'graphics-xvnc-compositor',
      `${nameOf('graphics')} has both xvnc, an X server without a card, and the compositor ${compositor}, for a card`,
      'leave out the compositor, or write vnc',
    );
  if (listen === undefined || viewers === 'vnc') return;
  throw configError(
    'graphics-listen-needs-vnc',
    `${nameOf('graphics')} is to listen at ${listenText(listen)} for viewers of VNC, and is ${quote(viewers)}`,
    'write vnc, or leave listen= out',
  );
}

function oneScreen(part: string, option: string): SandboxError {
  return argumentError(
    'graphics-one-screen',
    `${option} cannot have ${quote(part)}: a sandbox has one screen`,
    'leave it out; a larger size=WIDTHxHEIGHT has more room, and two sandboxes have two screens',
  );
}

function unknown(part: string, option: string): SandboxError {
  return argumentError(
    'graphics-unknown',
    `${option} cannot be ${quote(part)}`,
    `write ${VIEWERS.join(', ')} first, and then size=WIDTHxHEIGHT, compositor=${COMPOSITORS.join('|')}, resize=${RESIZES.join('|')} or listen=127.0.0.1:PORT, with commas between them`,
  );
}
