/**
 * The clipboard of the programs on the screen, read and written by a program of the root as the application's user. What
 * the guest says is bounded, and waited for for a while only.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { GuestConfig } from '../../../init/common/config.js';
import type { Channel } from '../../protocol/channel.js';
import { MOST_TEXT_BYTES } from '../../rfb/cut-text.js';
import { SandboxError } from '../../util/errors.js';
import { giveUp, isOver, type SandboxProcess, startProcess } from '../process/process.js';
import { runToEnd } from '../process/run.js';

/** What the program that has copied may take to hand its text over, in milliseconds. */
const READING_MS = 5000;

/** From one text that is put there to the next, in milliseconds. */
const PAUSE_MS = 200;

/** Why the clipboard cannot be written. */
export type Trouble = (why: string) => void;

export class GuestClipboard {
  readonly #channel: Channel;
  readonly #guest: GuestConfig;
  readonly #tool: string;
  readonly #onTrouble: Trouble;
  /** Has what was put there last, and ends when another program copies. */
  #owner: SandboxProcess | undefined;
  #next: string | undefined;
  #isPutting = false;
  /** By which a new text is told from the last one. */
  #seen = '';

  /** @param tool the path of xclip inside */
  constructor(channel: Channel, guest: GuestConfig, tool: string, onTrouble: Trouble) {
    this.#channel = channel;
    this.#guest = guest;
    this.#tool = tool;
    this.#onTrouble = onTrouble;
  }

  /** Puts a text there. Of several that come together the last one counts. */
  put(text: string): void {
    this.#next = text;
    if (!this.#isPutting) void this.#putAll();
  }

  /**
   * What a program inside has copied since the last call.
   * @returns undefined: there is nothing new. Its `text` is undefined: it is no text, or too large
   * @throws {SandboxError} as {@link startProcess}
   */
  async look(): Promise<{ readonly text: string | undefined } | undefined> {
    if (this.#holds) return undefined;
    // The time at which it was copied: most programs say it, and it is short.
    const time = await this.#read('TIMESTAMP');
    if (time !== '' && time === this.#seen) return undefined;
    const text = await this.#read('UTF8_STRING');
    const seen = time === '' ? text : time;
    // cage hands out nothing while a Wayland program has the focus; and something may have been put there meanwhile.
    if (seen === '' || seen === this.#seen || this.#holds) return undefined;
    this.#seen = seen;
    return { text: text === '' || text === TOO_LARGE ? undefined : text };
  }

  /** It has what was put there last, or is about to. */
  get #holds(): boolean {
    return this.#isPutting || this.#owner !== undefined;
  }

  async #putAll(): Promise<void> {
    this.#isPutting = true;
    while (this.#next !== undefined) {
      const text = this.#next;
      this.#next = undefined;
      const former = this.#owner;
      await this.#putOne(text).catch((error: unknown) => {
        if (!(error instanceof SandboxError)) throw error;
        if (!isOver(error) && error.code !== 'process-lost') this.#onTrouble(error.message);
      });
      await delay(PAUSE_MS, undefined, { ref: false });
      // It has ended by itself, unless it hangs.
      if (former !== undefined && former !== this.#owner) void giveUp(former);
    }
    this.#isPutting = false;
  }

  async #putOne(text: string): Promise<void> {
    const process = await this.#start(['-quiet', '-in']);
    this.#owner = process;
    // What it says stays unread, so that it stands still if that is much.
    process.stdin.end(text);
    const over = () => {
      if (this.#owner !== process) return;
      this.#owner = undefined;
      // What is there is another program's, even if it is what was there before.
      this.#seen = '';
    };
    process.exited.then(({ exitCode, signal }) => {
      over();
      if (signal === undefined && exitCode !== 0) this.#onTrouble(`${this.#tool} ends with exit status ${exitCode}`);
    }, over);
  }

  /** What is there as that target of X11: '' if it is not to be had, or not as a whole. */
  async #read(target: string): Promise<string> {
    try {
      const reading = () => this.#start(['-out', '-target', target], READING_MS);
      const { exitCode, stdout } = await runToEnd(reading, this.#tool, { maxBuffer: MOST_TEXT_BYTES });
      return exitCode === 0 ? stdout : '';
    } catch (error) {
      if (error instanceof SandboxError && error.code === 'output-too-large') return TOO_LARGE;
      throw error;
    }
  }

  #start(words: readonly string[], timeout?: number): Promise<SandboxProcess> {
    const argv = [this.#tool, '-selection', 'clipboard', ...words];
    return startProcess(this.#channel, this.#guest, argv, { cwd: '/', timeout });
  }
}

/** No text is the same: xclip writes no NUL. */
const TOO_LARGE = '\0';
