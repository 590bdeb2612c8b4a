/** A screen that a program looks at, with a keyboard and a pointer that it moves. */
import { SIDE_RANGE } from '../../config/parsers/graphics.js';
import type { ScreenSize } from '../../config/types.js';
import { option } from '../../util/option-names.js';
import { screenError } from './errors.js';
import type { ClickOptions, Input, Listening, ScreenPort } from './types.js';

/** So many at a time are handed on. */
const MOST_INPUTS = 64;

const MOST_CLICKS = 3;

/** @throws {SandboxError} `screen-missing` */
export function screenOn(port: ScreenPort | undefined, name: string): Screen {
  if (port !== undefined) return new Screen(port);
  throw screenError('screen-missing', `the sandbox ${name} has no screen`, `start it with ${option('graphics')}`);
}

/**
 * ```ts
 * await sandbox.screen.type('ls\n');
 * await sandbox.screen.key('ctrl+c');
 * await writeFile('screen.png', await sandbox.screen.screenshot());
 * ```
 */
export class Screen {
  readonly #port: ScreenPort;

  /** @internal */
  constructor(port: ScreenPort) {
    this.#port = port;
  }

  /** Now: viewers may change it. */
  get size(): ScreenSize {
    const { width, height } = this.#port;
    return { width, height };
  }

  /** The socket at which viewers of VNC see it; undefined: it lets in none. Only its user, and root, can connect. */
  get vncSocket(): string | undefined {
    return this.#port.vncSocket;
  }

  /** The same for viewers of SPICE. */
  get spiceSocket(): string | undefined {
    return this.#port.spiceSocket;
  }

  /** Where viewers of VNC are let in over TCP, and their password; undefined: they are not, or by another user. */
  get listening(): Listening | undefined {
    return this.#port.listening;
  }

  /**
   * What the screen shows now, without the pointer.
   * @returns a PNG
   * @throws {SandboxError} `screenshot-failed`
   */
  screenshot(): Promise<Buffer> {
    return this.#port.takePicture();
  }

  /**
   * Types a text, with the keys of an American keyboard.
   * @throws {SandboxError} `text-not-typable`, `input-failed`
   */
  async type(text: string): Promise<void> {
    const { chordsOf } = await import('./keys.js');
    const inputs: Input[] = chordsOf(text).map((keys) => ({ type: 'keys', keys }));
    for (let at = 0; at < inputs.length; at += MOST_INPUTS) await this.#port.enter(inputs.slice(at, at + MOST_INPUTS));
  }

  /**
   * Presses a key, and those before it meanwhile: `Enter`, `ctrl+c`, `alt+F4`.
   * @throws {SandboxError} `key-unknown`, `input-failed`
   */
  async key(name: string): Promise<void> {
    const { chordOf } = await import('./keys.js');
    await this.#port.enter([{ type: 'keys', keys: chordOf(name) }]);
  }

  /**
   * Moves the pointer.
   * @param x pixels from the left, and `y` from the top
   * @throws {SandboxError} `point-outside`, `input-failed`
   */
  async move(x: number, y: number): Promise<void> {
    await this.#port.enter([this.#moveTo(x, y)]);
  }

  /**
   * Moves the pointer, and clicks there.
   * @throws {SandboxError} as {@link move}, and `click-invalid`
   */
  async click(x: number, y: number, { button = 'left', count = 1 }: ClickOptions = {}): Promise<void> {
    if (!Number.isInteger(count) || count < 1 || count > MOST_CLICKS)
      throw screenError('click-invalid', `a click cannot have the count ${count}`, `give 1 to ${MOST_CLICKS}`);
    const once: Input[] = [
      { type: 'button', button, down: true },
      { type: 'button', button, down: false },
    ];
    await this.#port.enter([this.#moveTo(x, y), ...Array.from({ length: count }, () => once).flat()]);
  }

  /**
   * Gives the screen another size, as a viewer does.
   * @param size in pixels, each side from 320 to 4095
   * @throws {SandboxError} `screen-size-invalid`, `resize-failed`
   */
  async resize({ width, height }: ScreenSize): Promise<void> {
    const [least, most] = SIDE_RANGE;
    if ([width, height].some((side) => !Number.isInteger(side) || side < least || side > most))
      throw screenError(
        'screen-size-invalid',
        `the screen cannot get the size ${width}x${height}`,
        `give whole numbers of pixels, each from ${least} to ${most}`,
      );
    await this.#port.resize({ width, height });
  }

  #moveTo(x: number, y: number): Input {
    const { width, height } = this.#port;
    const isInside = [x, y].every(Number.isFinite) && x >= 0 && y >= 0 && x < width && y < height;
    if (isInside) return { type: 'move', x, y };
    throw screenError(
      'point-outside',
      `the point ${x},${y} is not on the screen of ${width}x${height}`,
      'give pixels from the left and from the top, from 0 on',
    );
  }
}
