/**
 * Promise: who has not been given the address of a viewer's page sees nothing of the screen and types nothing on it, and
 * what a sandbox says is no more than a picture and a text to the page. The attackers are other users of the host, pages of
 * other origins in the same browser, names that lead to 127.0.0.1, a server of VNC that lies, and a program that listens at
 * the port when the viewer has been killed.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { WebSocketServer } from 'ws';
import { Sandbox } from '../../src/index.js';
import { valueOr } from '../../src/util/errors.js';
import { ViewerServer } from '../../src/viewer/server.js';
import { ACCELERATION } from '../helpers/acceleration.js';
import { newPage, startBrowser, unlessBrowser, untilState } from '../helpers/browser.js';
import { embedded } from '../helpers/connections.js';
import { uniqueName } from '../helpers/leftovers.js';
import { SCREEN, startView } from '../helpers/viewer.js';

const NOBODY = 65_534;

async function started(t: TestContext): Promise<Sandbox> {
  const sandbox = await Sandbox.start(
    {
      ...{ acceleration: ACCELERATION, name: uniqueName(), command: ['sleep', '1000'] },
      graphics: 'vnc,compositor=none',
    },
    { connect: embedded.uri, control: true },
  );
  t.after(() => sandbox.stop());
  return sandbox;
}

/** What a user of the host is answered who asks for a path. */
function asNobody(port: number, path: string): string {
  const script = `require('http').get({ host: '127.0.0.1', port: process.argv[1], path: process.argv[2] }, (response) => {
      let body = ''; response.on('data', (text) => { body += text; });
      response.on('end', () => console.log(response.statusCode + ':' + body)); });`;
  const words = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--', process.execPath, '-e', script];
  return execFileSync('setpriv', [...words, String(port), path], { encoding: 'utf8', cwd: '/' }).trim();
}

/** An origin that the attacker has: a server of its own, whose pages are empty. */
async function strangeOrigin(t: TestContext, body = ''): Promise<string> {
  const server = createHttpServer((_request, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end(`<!doctype html><title>strange</title>${body}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a viewer', { skip: embedded.skip || unlessBrowser() }, () => {
  let browser: Browser;
  before(async () => {
    browser = await startBrowser(['--host-resolver-rules=MAP evil.test 127.0.0.1']);
  });
  after(() => browser?.close());

  it('shows nothing to other users of the host, nor to pages of other origins or names', async (t) => {
    const sandbox = await started(t);
    const { url, token, port } = await startView(t, [sandbox.name]);
    for (const path of ['/', `/${token.slice(0, -1)}/`, `/${'A'.repeat(43)}/`])
      assert.equal(asNobody(port, path), '404:');
    // The token is in no command line, and in no variable of a process.
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
      for (const file of ['cmdline', 'environ'])
        assert.ok(!valueOr(() => readFileSync(`/proc/${pid}/${file}`, 'latin1'), '').includes(token), `${pid} ${file}`);
    assert.ok(!execFileSync('find', [`/run/libvirt-sandbox/${sandbox.name}`], { encoding: 'utf8' }).includes(token));

    // They know the token, too.
    const { page } = await newPage(t, browser);
    await page.goto(await strangeOrigin(t));
    const reach = async (at: string): Promise<unknown> => page.evaluate(at);
    const socket = JSON.stringify(`ws://127.0.0.1:${port}/${token}/${SCREEN}`);
    const attempt = `new Promise((resolve) => { const socket = new WebSocket(${socket});
      socket.onopen = () => resolve('open'); socket.onclose = () => resolve('closed'); })`;
    assert.equal(await reach(attempt), 'closed');
    const read = (options: string) =>
      `fetch(${JSON.stringify(url)}, ${options}).then((answer) => answer.text(), () => 'refused')`;
    assert.equal(await reach(read('{}')), 'refused');
    // Not even unread, as an image or a script might be.
    assert.equal(await reach(read("{ mode: 'no-cors' }")), 'refused');
    const framing = `new Promise((resolve) => { const frame = document.createElement('iframe'); frame.src = ${JSON.stringify(url)};
      frame.onload = () => resolve('loaded'); document.body.append(frame); })`;
    await reach(framing);
    assert.deepEqual(
      page.frames().filter((frame) => frame.url() === url),
      [],
    );

    const renamed = await page.goto(`http://evil.test:${port}/${token}/`);
    assert.equal(renamed?.status(), 404);
    assert.equal(await renamed?.text(), '');
    const wrong = await page.goto(`http://127.0.0.1:${port}/${'A'.repeat(43)}/`);
    assert.equal(wrong?.status(), 404);
    assert.equal(await page.textContent('body'), '');
    // The page itself does work.
    await page.goto(url);
    await untilState(page, 'connected');
  });

  it('puts no name into the page but as a text', async (t) => {
    const markup = '<img src=x onerror="document.title=1"><script>document.title=1</script>';
    const server = createServer((socket) => void lyingScreen(socket, markup));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const dial = async () => {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    };
    const ended = new Promise<void>(() => {});
    const viewer = await ViewerServer.listen({ port: 0, name: markup, clipboard: false, dial, ended });
    t.after(() => viewer.close('stopped'));
    const { page, errors } = await newPage(t, browser);
    await page.goto(viewer.url);
    await untilState(page, 'connected');
    assert.equal(await page.textContent('#name'), markup);
    assert.equal(await page.title(), `${markup} - virt-sandbox`);
    assert.deepEqual(
      [await page.locator('img').count(), await page.locator('script').count(), await page.locator('canvas').count()],
      [0, 1, 1],
    );
    assert.deepEqual(errors, []);
    // Nor does a script run that somebody manages to write into it.
    await page.evaluate(`document.body.insertAdjacentHTML('beforeend', ${JSON.stringify(markup)})`);
    await page.waitForTimeout(200);
    assert.equal(await page.title(), `${markup} - virt-sandbox`);
  });

  it('types nothing for a program that takes over its port', async (t) => {
    const sandbox = await started(t);
    const { url, port, running } = await startView(t, [sandbox.name]);
    const { page } = await newPage(t, browser);
    await page.goto(url);
    await untilState(page, 'connected');
    running.child.kill('SIGKILL');
    await running.result;
    const impostor = new WebSocketServer({ port, host: '127.0.0.1' });
    t.after(() => impostor.close());
    await once(impostor, 'listening');
    const said: string[] = [];
    impostor.on('connection', (socket) => {
      socket.on('message', (data) => void said.push(String(data)));
      socket.send('0'.repeat(64));
      socket.send(Buffer.from('RFB 003.008\n'));
    });
    await untilState(page, 'over');
    assert.match((await page.textContent('#message')) ?? '', /Another program answers at this address/);
    await page.keyboard.type('secret');
    await page.waitForTimeout(200);
    assert.deepEqual(said, []);
  });
});

/** A server of VNC, of 64 by 48 pixels, whose desktop has that name; and again, when it is asked for pictures. */
async function lyingScreen(socket: ReturnType<typeof connect>, name: string): Promise<void> {
  socket.on('error', () => {});
  const text = Buffer.from(name);
  const count = Buffer.alloc(4);
  count.writeUInt32BE(text.length);
  socket.write('RFB 003.008\n');
  await once(socket, 'data');
  socket.write(Buffer.of(1, 1));
  await once(socket, 'data');
  socket.write(Buffer.alloc(4));
  await once(socket, 'data');
  const format = Buffer.from('2018000100ff00ff00ff100800000000', 'hex');
  socket.write(Buffer.concat([Buffer.from('00400030', 'hex'), format, count, text]));
  await once(socket, 'data');
  // One rectangle of the pseudo-encoding DesktopName, and a text for the clipboard.
  const renamed = Buffer.concat([Buffer.from('000000010000000000000000fffffecd', 'hex'), count, text]);
  const cutText = Buffer.concat([Buffer.from('03000000', 'hex'), count, text]);
  socket.write(Buffer.concat([renamed, cutText]));
}
