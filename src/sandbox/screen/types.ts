/** The screen of a sandbox, for programs. */

import type { ScreenListen, ScreenSize } from '../../config/types.js';

export const BUTTONS = ['left', 'middle', 'right'] as const;

export type Button = (typeof BUTTONS)[number];

export interface ClickOptions {
  /** Default: left. */
  readonly button?: Button | undefined;
  /** 2 is a double click. Default: 1. */
  readonly count?: number | undefined;
}

/** What somebody does at the keyboard and with the pointer. */
export type Input =
  /** Keys that go down in this order, and up in the other one. */
  | { readonly type: 'keys'; readonly keys: readonly string[] }
  /** In pixels, from the top left. */
  | { readonly type: 'move'; readonly x: number; readonly y: number }
  | { readonly type: 'button'; readonly button: Button; readonly down: boolean };

/** Where viewers of VNC are let in over TCP. The port is one that was taken. */
export interface Listening extends ScreenListen {
  /** Eight characters. */
  readonly password: string;
}

/** Where the screen is: in this process, or held by another one. Its size is what was seen of it last. */
export interface ScreenPort extends ScreenSize {
  /** Undefined: viewers are not let in. */
  readonly vncSocket: string | undefined;
  /** Undefined: viewers of SPICE are not let in. */
  readonly spiceSocket: string | undefined;
  /** Undefined: viewers do not come over TCP. */
  readonly listening: Listening | undefined;
  /** @returns a PNG */
  takePicture(): Promise<Buffer>;
  /** Resolves when the machine has all of it. */
  enter(inputs: readonly Input[]): Promise<void>;
  /** Resolves when the screen has that size, which is one that a screen may have. */
  resize(size: ScreenSize): Promise<void>;
}

/** One that this process holds. */
export interface HeldScreen extends ScreenPort {
  /**
   * Calls `told` with each new size.
   * @returns ends that
   */
  onSize(told: (size: ScreenSize) => void): () => void;
  /** Its sockets are no more. */
  close(): void;
}
