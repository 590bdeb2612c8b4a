/** The server of the page, with real connections: what it answers to whom, and what it bounds. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { deferred } from '../../../src/util/promises.js';
import { BUSY, ENDED, LOST, REFUSED, STOPPED } from '../../../src/viewer/closings.js';
import { MOST_PAGES, ViewerServer } from '../../../src/viewer/server.js';
import { rejectsWith } from '../../helpers/errors.js';
import { type Answer, ask, SCREEN, upgrading } from '../../helpers/viewer.js';

const PATIENCE_MS = 90_000;
const GREETING = Buffer.from('RFB 003.008\n\u0001\u0001', 'latin1');
const KEY = Buffer.from('0401000000000061', 'hex');

interface Served {
  readonly server: ViewerServer;
  readonly port: number;
  readonly path: string;
  /** The screen's end of each connection. */
  readonly screens: Socket[];
  readonly end: () => void;
}

/** A server whose screen is a socket of this test. */
async function served(t: TestContext, name = 'box'): Promise<Served> {
  const screens: Socket[] = [];
  const listener = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {});
    screens.push(socket);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port: screenPort } = listener.address() as { port: number };
  const { promise: ended, resolve: end } = deferred<void>();
  const dial = async () => {
    const socket = connect(screenPort, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  };
  const server = await ViewerServer.listen({ port: 0, name, clipboard: false, dial, ended });
  t.after(async () => {
    await server.close('stopped');
    for (const screen of screens) screen.destroy();
    listener.close();
  });
  return { server, port: server.port, path: new URL(server.url).pathname, screens, end };
}

/** A page that is connected: what a browser would be. */
async function paged({ port, path }: Served): Promise<WebSocket> {
  const page = new WebSocket(`ws://127.0.0.1:${port}${path}${SCREEN}`, { origin: `http://127.0.0.1:${port}` });
  page.on('error', () => {});
  await once(page, 'message');
  return page;
}

async function codeOf(page: WebSocket): Promise<number> {
  const [code] = (await once(page, 'close')) as [number];
  return code;
}

async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; !isTrue(); await sleep(20)) assert.ok(Date.now() < deadline, what);
}

describe('the server of a viewer', () => {
  it('gives the page to those who have the token', async (t) => {
    const { port, path } = await served(t, '<b>"box"</b>');
    assert.match(path, /^\/[A-Za-z0-9_-]{43}\/$/);
    const types = { '': 'text/html', 'page.js': 'text/javascript', 'page.css': 'text/css' };
    for (const [name, type] of Object.entries(types)) {
      const { status, headers, body } = await ask(port, path + name);
      assert.equal(status, 200);
      assert.match(String(headers['content-type']), new RegExp(`^${type}; charset=utf-8$`));
      assert.ok(body.length > 100);
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
      const policy = String(headers['content-security-policy']);
      for (const rule of ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"])
        assert.ok(policy.split('; ').includes(rule), policy);
      assert.doesNotMatch(policy, /unsafe|\*/);
    }
    // No script is in the page itself, nor anything that differs.
    const { body } = await ask(port, path);
    assert.doesNotMatch(body, /<script(?! type="module" src="page\.js">)|style=|\son[a-z]+=|"box"/);
    const settings = JSON.parse((await ask(port, `${path}settings.json`)).body) as { name: string; key: string };
    assert.equal(settings.name, '<b>"box"</b>');
    assert.match(settings.key, /^[0-9a-f]{64}$/);
    const localhost = await ask(port, path, { headers: { Host: `localhost:${port}` } });
    assert.equal(localhost.status, 200);
  });

  it('gives nothing, and no hint, to those who have none, or come by another name', async (t) => {
    const one = await served(t);
    const { port, path } = one;
    const nothing = await ask(port, '/');
    assert.deepEqual([nothing.status, nothing.body], [404, '']);
    const token = path.slice(1, -1);
    const wrong = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
    const strange = [
      ...[
        `/${wrong}/`,
        `/${token}`,
        `//${token}/`,
        `/${token}/../`,
        `/${token}/nothing`,
        `/${token}//`,
        '/favicon.ico',
      ],
      ...[`/${token}/page.html`, `/${token}/?`, `/${token.toLowerCase()}/`, `/%${token}/`, `/${token}/${SCREEN}`],
      ...[`/${token.slice(1)}/`, `/${token}${token}/`],
    ];
    const hosts = ['evil.test', `evil.test:${port}`, '127.0.0.1', `127.0.0.1:${port + 1}`, `[::1]:${port}`];
    const { date: _date, ...same } = nothing.headers;
    const answers = [
      ...(await Promise.all(strange.map((at) => ask(port, at)))),
      ...(await Promise.all(hosts.map((Host) => ask(port, path, { headers: { Host } })))),
      ...(await Promise.all(['POST', 'PUT', 'OPTIONS', 'HEAD'].map((method) => ask(port, '/', { method })))),
    ];
    for (const [number, { status, headers, body }] of answers.entries()) {
      const { date: _when, ...rest } = headers;
      assert.deepEqual([status, body, rest], [404, '', same], `${number}`);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD']) {
      const { status, headers } = await ask(port, path, { method });
      assert.deepEqual([status, headers['allow']], [405, 'GET']);
    }
  });

  it('lets only its own page connect to the screen', async (t) => {
    const one = await served(t);
    const { port, path, screens } = one;
    const own = `http://127.0.0.1:${port}`;
    const origins = [undefined, 'null', 'http://evil.test', `http://localhost:${port}`, `https://127.0.0.1:${port}`];
    for (const origin of [...origins, `http://127.0.0.1:${port + 1}`, `${own}/`, `http://127.0.0.1`]) {
      const { status } = await ask(port, path + SCREEN, { headers: upgrading(origin) });
      assert.equal(status, 404, origin);
    }
    for (const at of [
      `/${SCREEN}`,
      `/wrong/${SCREEN}`,
      `${path}screen`,
      `${path}screen?nonce=1`,
      path,
      `${path}page.js`,
    ])
      assert.equal((await ask(port, at, { headers: upgrading(own) })).status, 404, at);
    const other = { ...upgrading('http://evil.test'), Host: 'evil.test' };
    assert.equal((await ask(port, path + SCREEN, { headers: other })).status, 404);
    assert.equal(screens.length, 0);
    assert.equal((await ask(port, path + SCREEN, { headers: upgrading(own) })).status, 101);
  });

  it('carries bytes both ways, and closes what sends anything else than a viewer', async (t) => {
    const one = await served(t);
    const page = await paged(one);
    await until(() => one.screens.length === 1, 'it dials');
    const [screen] = one.screens;
    screen?.write('RFB 003.008\n');
    const [hello, isBinary] = (await once(page, 'message')) as [Buffer, boolean];
    assert.deepEqual([hello.toString(), isBinary], ['RFB 003.008\n', true]);
    page.send(Buffer.concat([GREETING, KEY]));
    const [got] = (await once(screen?.resume() ?? assert.fail(), 'data')) as [Buffer];
    assert.deepEqual(got, Buffer.concat([GREETING, KEY]));
    page.send(Buffer.of(254));
    assert.equal(await codeOf(page), REFUSED);

    const large = await paged(one);
    large.send(Buffer.alloc(2 << 20));
    assert.equal(await codeOf(large), 1009);
    await until(() => one.screens.every((each) => each.resume().closed), 'the screens are left');
  });

  it('holds little of what somebody does not read', async (t) => {
    const one = await served(t);
    const page = await paged(one);
    await until(() => one.screens.length === 1, 'it dials');
    const [screen = assert.fail()] = one.screens;
    // The page reads nothing.
    page.pause();
    const before = process.memoryUsage().arrayBuffers;
    let written = 0;
    for (let idle = 0; idle < 20; )
      if (screen.writableLength < 1 << 20) {
        screen.write(Buffer.alloc(1 << 18));
        written += 1 << 18;
        idle = 0;
      } else {
        await sleep(50);
        idle += 1;
      }
    assert.ok(written < 32 << 20, `${written} bytes`);
    assert.ok(process.memoryUsage().arrayBuffers - before < 16 << 20);
    page.terminate();

    // The screen reads nothing.
    const typing = await paged(one);
    await until(() => one.screens.length === 2, 'it dials');
    typing.send(GREETING);
    const keys = Buffer.concat(Array.from({ length: 8192 }, () => KEY));
    let sent = 0;
    for (let idle = 0; idle < 20; )
      if (typing.bufferedAmount < 1 << 20) {
        typing.send(keys);
        sent += keys.length;
        await sleep(1);
        idle = 0;
      } else {
        await sleep(50);
        idle += 1;
      }
    assert.ok(sent < 32 << 20, `${sent} bytes`);
    typing.terminate();
  });

  it('bounds pages and connections, and cuts off those who are slow', async (t) => {
    const one = await served(t);
    const { port, screens } = one;
    const pages: WebSocket[] = [];
    for (let number = 0; number < MOST_PAGES; number += 1) pages.push(await paged(one));
    assert.equal(await codeOf(await paged(one)), BUSY);
    pages[0]?.close();
    await until(() => screens.some((each) => each.resume().closed), 'a screen is left');
    pages.push(await paged(one));

    // They say half of a request, one header after the other, or nothing.
    const slow = ['GET / HT', 'GET / HTTP/1.1\r\nHost: x\r\n', ''].map((text) => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {}).resume();
      if (text !== '') socket.write(text);
      const drip = setInterval(() => void socket.write(text.includes('\r\n') ? 'A: b\r\n' : ''), 500);
      return once(socket, 'close').finally(() => clearInterval(drip));
    });
    await Promise.all(slow);

    const many = Array.from({ length: 100 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    t.after(() => many.forEach((socket) => void socket.destroy()));
    await until(() => many.filter(({ closed }) => closed).length >= 36, 'those beyond are closed');
    for (const socket of many) socket.destroy();
    await until(() => many.every(({ closed }) => closed), 'they are gone');
    assert.ok(pages.slice(1).every(({ readyState }) => readyState === WebSocket.OPEN));
    // The server hears of that a moment later.
    const answer = (): Promise<Answer> => ask(port, one.path).catch(() => answer());
    assert.equal((await answer()).status, 200);
  });

  it('tells pages why they are closed', async (t) => {
    const lost = await served(t);
    const page = await paged(lost);
    await until(() => lost.screens.length === 1, 'it dials');
    lost.screens[0]?.destroy();
    assert.equal(await codeOf(page), LOST);
    const stopped = codeOf(await paged(lost));
    await lost.server.close('stopped');
    assert.equal(await stopped, STOPPED);

    const one = await served(t);
    const ending = await paged(one);
    await until(() => one.screens.length === 1, 'it dials');
    // The screen goes before the sandbox has ended.
    one.screens[0]?.destroy();
    await sleep(200);
    one.end();
    assert.equal(await codeOf(ending), ENDED);
  });

  it('says which port is not usable', async (t) => {
    const { port } = await served(t);
    const options = { port, name: 'box', clipboard: false, dial: () => Promise.reject(new Error()) };
    const failed = ViewerServer.listen({ ...options, ended: Promise.resolve() });
    await rejectsWith(failed, 'port-not-usable', /port \d+ of 127\.0\.0\.1: it is in use/);
  });
});
