/** Programs with windows in sandboxes, and what their screens show. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Screen } from '../../src/index.js';
import type { Session } from '../../src/sandbox/session.js';
import { ctl } from './ctl.js';
import { coloursOf } from './png.js';
import type { Running, RunOptions } from './run.js';

/** A reason to skip, or false if this host has what shows programs, and programs. */
export function unlessDesktop(): string | false {
  const programs = [
    '/usr/bin/cage',
    '/usr/lib/xorg/Xorg',
    '/usr/bin/weston',
    '/usr/bin/xterm',
    '/usr/bin/Xwayland',
    '/usr/bin/Xtigervnc',
    '/usr/bin/xrandr',
  ];
  const missing = programs.filter((path) => !existsSync(path));
  return missing.length === 0 ? false : `${missing.join(' and ')} is missing (scripts/setup test)`;
}

/** Of the window of {@link terminal}: no other program draws it. */
export const BLUE = '#123456';

/** A terminal in a window, in which a shell runs a script. What the script reads are the keys. */
export function terminal(script: string): string[] {
  return ['xterm', '-bg', BLUE, '-fg', 'white', '-e', 'sh', '-c', script];
}

/**
 * A script of a {@link terminal}. /tmp/typed gets the line that was typed, and /tmp/pressed where the mouse was pressed
 * after that: ESC [ M, a button, and column and row in characters, counted from 33. The terminal reports the mouse when
 * /tmp/typed is there: it has answered by then (ESC [ 0 n).
 * @param then what it does at last
 */
export function typedAndPressed(then = 'while :; do sleep 1000; done'): string {
  return `read -r line; stty raw -echo; printf '\\033[?1000h\\033[5n'; head -c 4 >/dev/null
    printf %s "$line" >/tmp/typed; dd bs=6 count=1 of=/tmp/pressed 2>/dev/null; ${then}`;
}

/** Most of a busy host's time to draw a window, in milliseconds. */
const DRAWN_MS = 90_000;

/** Waits until a file of the sandbox has a content that is right. @returns it */
export async function untilWritten(
  sandbox: Pick<Session, 'run'>,
  path: string,
  isRight: (content: string) => boolean,
): Promise<string> {
  for (const deadline = Date.now() + DRAWN_MS; ; await sleep(100)) {
    const { stdout } = await sandbox.run(['sh', '-c', 'cat "$1" 2>/dev/null; true', 'sh', path]);
    if (isRight(stdout)) return stdout;
    if (Date.now() > deadline) assert.fail(`${path} has ${JSON.stringify(stdout)}`);
  }
}

/** Waits until the screen shows a colour on that part of it. @returns the picture */
export async function untilShows(screen: Pick<Screen, 'screenshot'>, colour: string, part: number): Promise<Buffer> {
  for (const deadline = Date.now() + DRAWN_MS; ; await sleep(200)) {
    const picture = await screen.screenshot();
    if (partOf(picture, colour) >= part) return picture;
    if (Date.now() > deadline) assert.fail(`it shows ${JSON.stringify([...coloursOf(picture)].slice(0, 20))}`);
  }
}

/** Pictures of a sandbox that a program of another user runs, as that user gets them when it has a screen. */
export function screenOf(name: string, running: Running, options: RunOptions): Pick<Screen, 'screenshot'> {
  const screenshot = async () => {
    for (;;) {
      const { code, stdout, stderr } = await ctl(['screenshot', name, '-'], options);
      if (code === 0) return stdout;
      assert.equal(running.child.exitCode, null, `${stderr}${running.stderr()}`);
    }
  };
  return { screenshot };
}

/** Which part of a picture has that colour, from 0 to 1. */
export function partOf(picture: Buffer, colour: string): number {
  const colours = coloursOf(picture);
  const all = [...colours.values()].reduce((sum, count) => sum + count, 0);
  return (colours.get(colour) ?? 0) / all;
}
