/** Sandboxes whose programs have a clipboard, with a viewer that copies and pastes. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LaunchOptions, Sandbox, type SandboxOptions } from '../../src/index.js';
import type { Session } from '../../src/sandbox/session.js';
import { ACCELERATION } from './acceleration.js';
import { BLUE, terminal, unlessDesktop, untilShows } from './desktop.js';
import { uniqueName } from './leftovers.js';
import { ClipboardViewer } from './rfb-clipboard.js';

const PROGRAMS = ['/usr/bin/xclip', '/usr/bin/wl-copy'];

export const NOBODY = { uid: 65_534, gid: 65_534, username: 'nobody', home: '/nonexistent', groups: [] };

/** A reason to skip, or false. */
export function unlessClipboard(): string | false {
  const missing = PROGRAMS.filter((path) => !existsSync(path));
  return unlessDesktop() || (missing.length === 0 ? false : `${missing.join(' and ')} is missing (scripts/setup test)`);
}

interface Ending {
  after(work: () => unknown): void;
}

/** A terminal on the screen, and one viewer. */
export async function startedWithViewer(
  t: Ending,
  connect: string,
  options: Partial<SandboxOptions>,
  how: Pick<LaunchOptions, 'control'> = {},
) {
  const warnings: string[] = [];
  const onWarning = (warning: string) => void warnings.push(warning);
  const wanted: SandboxOptions = {
    ...{ acceleration: ACCELERATION, name: uniqueName(), identity: NOBODY, graphics: true },
    ...{ command: terminal('while :; do sleep 1000; done'), ...options },
  };
  const sandbox = await Sandbox.start(wanted, { connect, onWarning, ...how });
  t.after(() => sandbox.stop());
  await untilShows(sandbox.screen, BLUE, 0.1);
  return { sandbox, warnings, viewer: await opened(t, sandbox) };
}

export async function opened(t: Ending, { screen }: Pick<Sandbox, 'screen'>): Promise<ClipboardViewer> {
  const viewer = await ClipboardViewer.open(screen.vncSocket ?? assert.fail());
  t.after(() => viewer.close());
  return viewer;
}

/** Copies a text inside, as a program of X11. */
export async function copyInside(sandbox: Pick<Session, 'run'>, text: string | Uint8Array): Promise<void> {
  // What it leaves behind holds no stream of it.
  const { exitCode } = await sandbox.run('xclip -selection clipboard >/dev/null 2>&1', { input: text });
  assert.equal(exitCode, 0);
}

/** What a program of X11 inside pastes; undefined: there is none. */
export async function pasteInside(sandbox: Pick<Session, 'run'>): Promise<string | undefined> {
  const { exitCode, stdout } = await sandbox.run('timeout 10 xclip -o -selection clipboard -t UTF8_STRING 2>/dev/null');
  return exitCode === 0 ? stdout : undefined;
}

/** Most of a busy host's time. In milliseconds. */
const PASSING_MS = 90_000;

/** Waits until programs inside paste that. */
export async function untilPasted(sandbox: Pick<Session, 'run'>, text: string): Promise<void> {
  for (const deadline = Date.now() + PASSING_MS; ; await sleep(100)) {
    const found = await pasteInside(sandbox);
    if (found === text) return;
    if (Date.now() > deadline) assert.fail(`it is ${JSON.stringify(found?.slice(0, 200))}`);
  }
}
