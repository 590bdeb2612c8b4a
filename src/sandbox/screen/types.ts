/** The screen of a sandbox, for programs. */

import type { ScreenSize } from '../../config/types.js';

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

/** Where the screen is: in this process, or held by another one. */
export interface ScreenPort extends ScreenSize {
  /** Undefined: viewers are not let in. */
  readonly vncSocket: string | undefined;
  /** @returns a PNG */
  takePicture(): Promise<Buffer>;
  /** Resolves when the machine has all of it. */
  enter(inputs: readonly Input[]): Promise<void>;
}
