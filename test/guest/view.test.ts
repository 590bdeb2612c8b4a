/** The viewer in a browser, with a real sandbox and a real browser. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { Sandbox, type SandboxOptions } from '../../src/index.js';
import { ACCELERATION } from '../helpers/acceleration.js';
import { newPage, startBrowser, typeOn, unlessBrowser, untilPageShows, untilState } from '../helpers/browser.js';
import { embedded } from '../helpers/connections.js';
import { fails } from '../helpers/ctl.js';
import { BLUE, terminal, typedAndPressed, unlessDesktop, untilShows, untilWritten } from '../helpers/desktop.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';
import { startView, wayTo } from '../helpers/viewer.js';

const SCRIPT = typedAndPressed();
const TEXT = 'Hello, World! 1+1=2 {"x": [~]} |\\<>?';
const POINT = [66, 60] as const;
const NOBODY = { uid: 65_534, gid: 65_534, username: 'nobody', home: '/nonexistent', groups: [] };

const { env, remove } = privateStore();
const { XDG_CACHE_HOME: usual } = process.env;

async function started(t: TestContext, options: SandboxOptions): Promise<Sandbox> {
  const wanted: SandboxOptions = { acceleration: ACCELERATION, name: uniqueName(), identity: NOBODY, ...options };
  const sandbox = await Sandbox.start(wanted, { connect: embedded.uri, control: true });
  t.after(() => sandbox.stop());
  return sandbox;
}

/** Where the canvas is. */
async function canvasOf(page: Page) {
  return (await page.locator('canvas').boundingBox()) ?? assert.fail('there is no canvas');
}

describe('virt-sandbox-ctl view', { skip: embedded.skip || unlessDesktop() || unlessBrowser() }, () => {
  let browser: Browser;

  before(async () => {
    // The API of this process has the same store.
    process.env['XDG_CACHE_HOME'] = env.XDG_CACHE_HOME;
    browser = await startBrowser();
    await bakeSnapshot(['-c', embedded.uri], { env }, ['--graphics']);
  });
  after(async () => {
    await browser?.close();
    if (usual === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = usual;
    remove();
  });

  it('shows the program, takes keys and clicks, scales, and says when it has ended', async (t) => {
    const sandbox = await started(t, { command: terminal(SCRIPT), graphics: true, boot: 'warm' });
    const { url, running } = await startView(t, [sandbox.name]);
    const { page, errors } = await newPage(t, browser);
    await untilShows(sandbox.screen, BLUE, 0.9);
    let bytes = 0;
    page.on('response', (answer) => void answer.body().then(({ length }) => (bytes += length)));
    const before = performance.now();
    await page.goto(url);
    // A point that no letter is at. The page allows no eval(), so the browser is asked.
    await page.evaluate(`new Promise((resolve) => { const look = () => {
      const canvas = document.querySelector('canvas');
      const at = canvas?.width === 1280 ? canvas.getContext('2d').getImageData(900, 700, 1, 1).data.join() : '';
      if (at === '18,52,86,255') resolve(); else requestAnimationFrame(look); }; look(); })`);
    t.diagnostic(`the picture is there ${Math.round(performance.now() - before)} ms after the page is asked for`);
    await untilState(page, 'connected');
    t.diagnostic(`the page has ${bytes} bytes`);
    assert.ok(bytes > 100_000 && bytes < 250_000, `${bytes} bytes`);
    assert.equal(await page.title(), `${sandbox.name} - virt-sandbox`);
    await untilPageShows(page, BLUE, 0.85);
    const canvas = page.locator('canvas');
    assert.deepEqual([await canvas.getAttribute('width'), await canvas.getAttribute('height')], ['1280', '800']);

    // The page has taken the focus.
    await typeOn(page, `${TEXT}\n`);
    await untilWritten(sandbox, '/tmp/typed', (typed) => typed === TEXT);

    // Scaled to half, with the same shape; and a click arrives where it is seen.
    await page.setViewportSize({ width: 640, height: 480 });
    while ((await canvasOf(page)).width > 640) await page.waitForTimeout(20);
    const box = await canvasOf(page);
    assert.ok(Math.abs(box.width / box.height - 1.6) < 0.01, JSON.stringify(box));
    assert.ok(box.width > 600 && box.x >= 0 && box.y >= 0 && box.y + box.height <= 480, JSON.stringify(box));
    const scale = box.width / 1280;
    await page.mouse.move(box.x + 300 * scale, box.y + 300 * scale);
    await page.mouse.move(box.x + POINT[0] * scale, box.y + POINT[1] * scale);
    await page.mouse.down();
    await page.mouse.up();
    const pressed = await untilWritten(sandbox, '/tmp/pressed', ({ length }) => length === 6);
    const [button = 0, column = 0, row = 0] = Buffer.from(pressed).subarray(3);
    assert.equal(button, 32);
    assert.ok(Math.abs(column - 33 - POINT[0] / 6) < 2 && Math.abs(row - 33 - POINT[1] / 13) < 2, `${column} ${row}`);
    assert.deepEqual(errors, []);

    // The end of the sandbox.
    await sandbox.stop();
    await untilState(page, 'over');
    assert.equal(await page.textContent('#message'), `The sandbox ${sandbox.name} has ended.`);
    const { code, stderr } = await running.result;
    assert.deepEqual([code, stderr], [0, `virt-sandbox-ctl: the sandbox ${sandbox.name} has ended\n`]);
    assert.deepEqual(errors, []);
    await assertNothingLeft(sandbox.name, exceptLogs(embedded.where));
  });

  it('shows a screen without a card, takes keys and clicks, and says when it has ended', async (t) => {
    const sandbox = await started(t, { command: terminal(SCRIPT), graphics: 'xvnc,size=640x480' });
    const { url, running } = await startView(t, [sandbox.name]);
    const { page, errors } = await newPage(t, browser);
    await page.goto(url);
    await untilState(page, 'connected');
    await untilPageShows(page, BLUE, 0.2);
    // Without a window manager, keys go to the window that the pointer is over.
    const canvas = await canvasOf(page);
    const scale = canvas.width / 640;
    await page.mouse.move(canvas.x + POINT[0] * scale, canvas.y + POINT[1] * scale);
    await typeOn(page, `${TEXT}\n`);
    await untilWritten(sandbox, '/tmp/typed', (typed) => typed === TEXT);
    await page.mouse.down();
    await page.mouse.up();
    const pressed = await untilWritten(sandbox, '/tmp/pressed', ({ length }) => length === 6);
    assert.equal(Buffer.from(pressed)[3], 32);
    await sandbox.stop();
    await untilState(page, 'over');
    assert.equal((await running.result).code, 0);
    assert.deepEqual(errors, []);
    await assertNothingLeft(sandbox.name, exceptLogs(embedded.where));
  });

  it('connects again when its connection to the screen is cut, and ends with Ctrl+C', async (t) => {
    const sandbox = await started(t, { command: terminal(SCRIPT), graphics: true, boot: 'warm' });
    const way = await wayTo(t, sandbox.screen.vncSocket ?? assert.fail());
    const { url, running } = await startView(t, [sandbox.name]);
    const { page } = await newPage(t, browser);
    await page.goto(url);
    await untilPageShows(page, BLUE, 0.85);
    way.cut();
    await untilState(page, 'connecting');
    assert.match((await page.textContent('#message')) ?? '', /Reconnecting/);
    way.open();
    await untilState(page, 'connected');
    await untilPageShows(page, BLUE, 0.85);
    await typeOn(page, 'again\n');
    await untilWritten(sandbox, '/tmp/typed', (typed) => typed === 'again');

    running.child.kill('SIGINT');
    const { code, stderr } = await running.result;
    assert.deepEqual([code, stderr], [130, '']);
    await untilState(page, 'over');
    assert.match((await page.textContent('#message')) ?? '', /The viewer was stopped/);
  });

  it('says what has no screen, what lets in no viewers, and what port is taken', async (t) => {
    const without = await started(t, { command: ['sleep', '1000'] });
    await fails(['view', without.name], /has no screen; start it with --graphics/);
    const pictures = await started(t, { command: ['sleep', '1000'], graphics: 'none,compositor=none' });
    await fails(['view', pictures.name], /lets in no viewers; .*virt-sandbox-ctl screenshot/);
    const shown = await started(t, { command: ['sleep', '1000'], graphics: 'vnc,compositor=none' });
    const { port } = await startView(t, [shown.name]);
    await fails(['view', '--port', String(port), shown.name], /port \d+ of 127\.0\.0\.1: it is in use; give another/);
    await fails(['view', '--port', '70000', shown.name], /--port "70000" is no port/);
    await fails(['view', 'no-such-sandbox'], /no sandbox called "no-such-sandbox" runs/);
  });
});
