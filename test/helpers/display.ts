/** A display without a monitor, on which programs of this host show windows: Xvfb, whose picture is a file. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A reason to skip, or false if this host has viewers and a display for them. */
export function unlessViewers(): string | false {
  const programs = ['Xvfb', 'xdotool', 'xtigervncviewer', 'gvncviewer'].map((name) => `/usr/bin/${name}`);
  const missing = programs.filter((path) => !existsSync(path));
  return missing.length === 0 ? false : `${missing.join(' and ')} is missing (scripts/setup test)`;
}

/** Of a busy host, in milliseconds. */
const PATIENCE_MS = 90_000;

/** Fields of the head of XWDFile.h, in bytes from its beginning. */
const HEAD = { size: 0, width: 16, height: 20, bytesPerLine: 48, colours: 76 } as const;
const COLOUR_BYTES = 12;

export class Display {
  readonly name: string;
  readonly #server: ChildProcess;
  readonly #directory: string;

  private constructor(name: string, server: ChildProcess, directory: string) {
    this.name = name;
    this.#server = server;
    this.#directory = directory;
  }

  static async open(): Promise<Display> {
    const directory = mkdtempSync('/var/tmp/virt-sandbox-test-');
    const words = ['-displayfd', '3', '-screen', '0', '1400x900x24', '-nolisten', 'tcp', '-fbdir', directory];
    const server = spawn('Xvfb', words, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    const [number] = (await once(server.stdio[3] ?? assert.fail(), 'data')) as [Buffer];
    return new Display(`:${number.toString().trim()}`, server, directory);
  }

  /** Which part of it has that colour, as `#rrggbb`: from 0 to 1. */
  partOf(colour: string): number {
    const file = readFileSync(join(this.#directory, 'Xvfb_screen0'));
    const [size, width, height, bytesPerLine, colours] = Object.values(HEAD).map((at) => file.readUInt32BE(at)) as [
      ...[number, number, number, number, number],
    ];
    const wanted = Number.parseInt(colour.slice(1), 16);
    const start = size + colours * COLOUR_BYTES;
    let count = 0;
    for (let y = 0; y < height; y += 1)
      for (let x = 0; x < width; x += 1)
        if ((file.readUInt32LE(start + y * bytesPerLine + x * 4) & 0xffffff) === wanted) count += 1;
    return count / (width * height);
  }

  /** @param until what stops the wait when it throws */
  async untilShows(colour: string, part: number, until: () => void = () => {}): Promise<void> {
    for (const deadline = Date.now() + PATIENCE_MS; this.partOf(colour) < part; await delay(200)) {
      until();
      assert.ok(Date.now() < deadline, `it shows ${this.partOf(colour)} of ${colour}`);
    }
  }

  /** Presses keys in the window whose title matches, and Enter. */
  type(title: string, text: string): void {
    this.focus(title);
    this.#do('type', '--delay', '60', text);
    this.#do('key', 'Return');
  }

  focus(title: string): void {
    const [window = assert.fail('there is no window')] = this.windows(title);
    this.#do('windowfocus', '--sync', window);
  }

  /** Copies a text, as a program of this display. */
  copy(text: string): void {
    // What it leaves behind ends with the display.
    execFileSync('xclip', ['-selection', 'clipboard'], {
      ...{ input: text, stdio: ['pipe', 'ignore', 'ignore'], env: { ...process.env, DISPLAY: this.name } },
    });
  }

  /** What a program of this display pastes; '': there is nothing. */
  paste(): string {
    const words = ['-o', '-selection', 'clipboard', '-t', 'UTF8_STRING'];
    const env = { ...process.env, DISPLAY: this.name };
    return spawnSync('xclip', words, { encoding: 'utf8', timeout: 10_000, env }).stdout;
  }

  windows(title: string): string[] {
    try {
      return this.#do('search', '--onlyvisible', '--name', title).split('\n').filter(Boolean);
    } catch {
      // It fails where it finds none.
      return [];
    }
  }

  async close(): Promise<void> {
    const ended = once(this.#server, 'exit');
    this.#server.kill();
    await ended;
    rmSync(this.#directory, { recursive: true });
  }

  #do(...words: readonly string[]): string {
    return execFileSync('xdotool', words, { encoding: 'utf8', env: { ...process.env, DISPLAY: this.name } });
  }
}
