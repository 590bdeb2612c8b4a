/** A real browser, without a window. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { findInPath } from '../../src/util/programs.js';
import { coloursOf } from './png.js';

const PROGRAM = findInPath('chromium-headless-shell') ?? findInPath('chromium');

/** Most of a busy host's time for anything that is waited for, in milliseconds. */
export const PATIENCE_MS = 90_000;

/** A reason to skip, or false if there is a browser. */
export function unlessBrowser(): string | false {
  return PROGRAM === undefined ? 'there is no Chromium (scripts/setup test)' : false;
}

export async function startBrowser(more: readonly string[] = []): Promise<Browser> {
  // Tests run as root, and Chromium's own sandbox does not.
  const args = ['--no-sandbox', '--disable-gpu', ...more];
  return chromium.launch({ executablePath: PROGRAM ?? '', args, timeout: PATIENCE_MS });
}

/** A page of a context of its own, which ends with the test. What went wrong in it is in `errors`. */
export async function newPage(
  t: TestContext,
  browser: Browser,
  size = { width: 1280, height: 860 },
): Promise<{ page: Page; context: BrowserContext; errors: string[] }> {
  const context = await browser.newContext({ viewport: size });
  t.after(() => context.close());
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => void errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  return { page, context, errors };
}

/** Waits until the page of a viewer is in a state: `connecting`, `connected` or `over`. */
export async function untilState(page: Page, state: string): Promise<void> {
  await page.waitForSelector(`body[data-state="${state}"]`, { state: 'attached' });
}

/** Waits until that part of what the page shows has a colour. @returns the picture */
export async function untilPageShows(page: Page, colour: string, part: number): Promise<Buffer> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(100)) {
    const picture = await page.screenshot();
    const colours = coloursOf(picture);
    const all = [...colours.values()].reduce((sum, count) => sum + count, 0);
    if ((colours.get(colour) ?? 0) / all >= part) return picture;
    if (Date.now() > deadline) assert.fail(`it shows ${JSON.stringify([...colours].slice(0, 20))}`);
  }
}

const SHIFTED = /[A-Z~!@#$%^&*()_+{}|:"<>?]/;

/** Types as on an American keyboard: what is sent on are keys, and not characters. */
export async function typeOn(page: Page, text: string): Promise<void> {
  for (const character of text) {
    const isShifted = SHIFTED.test(character);
    if (isShifted) await page.keyboard.down('Shift');
    await page.keyboard.press(character === '\n' ? 'Enter' : character);
    if (isShifted) await page.keyboard.up('Shift');
  }
}
