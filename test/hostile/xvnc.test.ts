/**
 * Promise: with --graphics=xvnc, whatever the guest says in the name of the VNC server, the launcher lives, stays within
 * bounds and says what happened; what is copied on the host stays there; and nobody but its user, and root, comes to the
 * screen. The attackers are a program inside that takes the server's place, and other users of the host and of the guest.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connectSandbox, Sandbox } from '../../src/index.js';
import { sizeOfPicture } from '../../src/sandbox/screen/picture.js';
import { ACCELERATION } from '../helpers/acceleration.js';
import { embedded, lxc, type Way } from '../helpers/connections.js';
import { ctl } from '../helpers/ctl.js';
import { unlessDesktop } from '../helpers/desktop.js';
import { rejectsWith } from '../helpers/errors.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';
import { greet, type Input } from '../helpers/rfb.js';
import { assertRun, runSandbox } from '../helpers/run.js';

const NOBODY = 65_534;
const MOST_MEMORY = 2 ** 30;
/** Of a busy host, in milliseconds. */
const PATIENCE_MS = 90_000;
const SECRET = 'a text of the clipboard';

/** Takes the server's place. What it says to who connects is in a file. */
const LIAR = `const fs = require('node:fs'), net = require('node:net');
  const socket = '/dev/.virt-sandbox/screen/user/vnc';
  const number = (bytes, value) => { const all = Buffer.alloc(bytes); all.writeUIntBE(value, 0, bytes); return all; };
  const LET_IN = Buffer.concat([Buffer.from('RFB 003.008\\n'), Buffer.of(1, 1), Buffer.alloc(4)]);
  const screen = (width, height, name = 0) =>
    Buffer.concat([LET_IN, number(2, width), number(2, height), Buffer.alloc(16), number(4, name)]);
  const without = (s, piece) => { const talk = () => { while (s.write(piece)); }; s.on('drain', talk); talk(); };
  const size = (side) => Buffer.concat([Buffer.of(0, 0, 0, 1), Buffer.alloc(4), number(2, side), number(2, side), number(4, 2 ** 32 - 223)]);
  const lies = {
    rubbish: (s) => s.end('HTTP/1.1 400 \\x1b[2J'),
    escapes: (s) => s.write(Buffer.concat([Buffer.from('RFB 003.008\\n'), Buffer.of(0), number(4, 12), Buffer.from('\\x1b]0;pwned\\x07\\x1b[')])),
    password: (s) => s.write(Buffer.concat([Buffer.from('RFB 003.008\\n'), Buffer.of(1, 2)])),
    huge: (s) => s.write(screen(65535, 65535)),
    name: (s) => { s.write(screen(640, 480, 2 ** 32 - 1)); without(s, Buffer.alloc(65536, 65)); },
    endless: (s) => { s.write(screen(640, 480)); without(s, Buffer.alloc(65536)); },
    text: (s) => { s.write(Buffer.concat([screen(640, 480), Buffer.of(3, 0, 0, 0), number(4, 2 ** 32 - 1)])); without(s, Buffer.alloc(65536)); },
    sizes: (s) => { s.write(screen(640, 480)); without(s, Buffer.concat(Array.from({ length: 64 }, (_, at) => size(4095 - at)))); },
    silent: () => {},
    dribble: (s) => { s.write(screen(640, 480)); const timer = setInterval(() => s.write(Buffer.alloc(4)), 100); s.on('close', () => clearInterval(timer)); },
    noise: (s) => {
      const head = Buffer.concat([Buffer.of(0, 0, 0, 1), Buffer.alloc(4), number(2, 4095), number(2, 4095), Buffer.alloc(4)]);
      s.write(Buffer.concat([screen(4095, 4095), head]));
      const piece = require('node:crypto').randomBytes(4095 * 4);
      let rows = 4095;
      const talk = () => { while (rows > 0) { rows -= 1; if (!s.write(piece)) return; } };
      s.on('drain', talk); talk();
    },
    listen: (s) => { s.write(screen(640, 480)); s.on('data', (heard) => fs.appendFileSync('/tmp/heard', heard)); },
  };
  try { fs.unlinkSync(socket); } catch {}
  net.createServer((s) => { s.on('error', () => {}).resume(); lies[fs.readFileSync('/tmp/lie', 'utf8')](s); })
    .listen(socket, () => console.log('there'));`;

/** A sandbox of nobody. A container is held by another process, which is in the namespaces of its libvirtd. */
async function started(t: TestContext, way: Way) {
  const name = uniqueName();
  if (way === lxc) {
    t.after(() => ctl(['kill', name], way.options));
    const words = ['--detach', '-c', way.uri, '-n', name, '-S', 'nobody', '--graphics=xvnc,size=640x480', '--'];
    assertRun(await runSandbox([...words, 'sleep', '10000'], way.options), 0, `${name}\n`);
    const sandbox = await connectSandbox(name);
    t.after(() => sandbox.close());
    return { sandbox, holder: sandbox.record.pid, screen: sandbox.screen };
  }
  const sandbox = await Sandbox.start(
    {
      ...{ acceleration: ACCELERATION, name, command: ['sleep', '10000'], graphics: 'xvnc,size=640x480' },
      identity: { uid: NOBODY, gid: NOBODY, username: 'nobody', home: '/nonexistent', groups: [] },
    },
    { connect: way.uri, control: true, onWarning: () => {} },
  );
  t.after(() => sandbox.stop());
  return { sandbox, holder: process.pid, screen: sandbox.screen };
}

/** In bytes. */
function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** A sandbox whose VNC server a program of its user has replaced. */
async function lying(t: TestContext, way: Way) {
  const { sandbox, holder, screen } = await started(t, way);
  const kill = 'for p in /proc/[0-9]*; do case $(cat $p/comm) in Xtigervnc) kill -9 $(basename $p);; esac; done';
  await sandbox.run(kill);
  const liar = await sandbox.spawn([process.execPath, '-e', LIAR]);
  await once(liar.stdout, 'data');
  const say = (lie: string) => sandbox.run(['sh', '-c', 'printf %s "$1" >/tmp/lie', 'sh', lie]);
  return { sandbox, holder, screen, say };
}

/** What a user of the host gets who connects to a socket. */
function asUser(uid: number, path: string): string {
  const script = `require('net').connect(process.argv[1]).on('connect', () => { console.log('in'); process.exit(); })
    .on('error', ({ code }) => console.log(code));`;
  const words = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--', process.execPath, '-e', script, path];
  return execFileSync('setpriv', words, { encoding: 'utf8', cwd: '/' }).trim();
}

const LIES: readonly (readonly [string, RegExp])[] = [
  ['rubbish', /speaks another protocol/],
  ['escapes', /lets nobody in: .*pwned/],
  ['password', /asks for a password/],
  ['huge', /a screen of 65535x65535/],
  ['name', /a name or reason of 4294967295 bytes/],
  ['endless', /more than it was asked for/],
  ['text', /more than it was asked for/],
  ['sizes', /changes the size of its screen all the time/],
  ['silent', /stands still for/],
  ['dribble', /takes more than 30000 ms/],
];

for (const way of [embedded, lxc])
  describe(`a screen that the guest draws, over ${way.uri}`, { skip: way.skip || unlessDesktop() }, () => {
    it('fails within bounds, and with a reason, when another program is its server', async (t) => {
      const { sandbox, holder, screen, say } = await lying(t, way);
      for (const [lie, pattern] of LIES) {
        await say(lie);
        const error = await screen.screenshot().then(
          () => assert.fail(lie),
          (reason: { code: string; message: string }) => reason,
        );
        assert.equal(error.code, 'screenshot-failed', lie);
        // Another process gets no picture, and no reason.
        assert.match(error.message, way === lxc ? /nothing came/ : pattern, lie);
        for (const character of error.message) assert.ok(character >= ' ' && character !== '\u007f', lie);
        const { width, height } = screen.size;
        assert.ok(width > 0 && width < 4096 && height > 0 && height < 4096, `${width}x${height}`);
      }
      await say('rubbish');
      // Another process gets the reason only.
      await rejectsWith(screen.type('a'), way === lxc ? 'control-failed' : 'input-failed', /takes no input/);
      assert.ok(memoryOf(holder) < MOST_MEMORY);
      assert.equal((await sandbox.run('true')).exitCode, 0);
      await sandbox.stop();
      await assertNothingLeft(sandbox.name, exceptLogs(way.where));
    });

    it('goes on when it floods viewers that do not read', async (t) => {
      const { sandbox, holder, screen, say } = await lying(t, way);
      const { vncSocket = assert.fail() } = screen;
      await say('endless');
      const viewers = Array.from({ length: 24 }, () => connect(vncSocket).on('error', () => {}));
      t.after(() => viewers.forEach((viewer) => void viewer.destroy()));
      for (const viewer of viewers) viewer.pause();
      // Those that are too many are let go.
      const deadline = Date.now() + PATIENCE_MS;
      for (const read = viewers.slice(-4); ; await delay(50)) {
        if (read.every(({ readableEnded, destroyed }) => readableEnded || destroyed)) break;
        for (const viewer of read) viewer.resume();
        assert.ok(Date.now() < deadline, 'too many are let in');
      }
      for (let round = 0; round < 20; round += 1) assert.equal((await sandbox.run('true')).exitCode, 0);
      await rejectsWith(
        screen.screenshot(),
        'screenshot-failed',
        way === lxc ? /nothing came/ : /more than it was asked for/,
      );
      assert.ok(memoryOf(holder) < MOST_MEMORY);
      await sandbox.stop();
      await assertNothingLeft(sandbox.name, exceptLogs(way.where));
    });

    it('is as large as a screen may be, and no larger', async (t) => {
      const { screen, say } = await lying(t, way);
      await say('noise');
      const picture = await screen.screenshot();
      assert.deepEqual(sizeOfPicture(picture), { width: 4095, height: 4095 });
      assert.deepEqual(screen.size, { width: 4095, height: 4095 });
    });

    it('hears nothing of what is copied on the host', async (t) => {
      const { sandbox, screen, say } = await lying(t, way);
      await say('listen');
      const { input } = await greet({ path: screen.vncSocket ?? assert.fail() });
      t.after(() => input.socket.destroy());
      const text = Buffer.concat([Buffer.of(6, 0, 0, 0, 0, 0, 0, SECRET.length), Buffer.from(SECRET)]);
      // That others have to go; a text; and the key x.
      input.socket.write(Buffer.concat([Buffer.of(1, 0), text, Buffer.from('0401000000000078', 'hex')]));
      const heard = async () => (await sandbox.run('cat /tmp/heard 2>/dev/null; true')).stdout;
      for (const deadline = Date.now() + PATIENCE_MS; !(await heard()).endsWith('x'); )
        assert.ok(Date.now() < deadline, JSON.stringify(await heard()));
      assert.equal(await heard(), `RFB 003.008\n\u0001\u0001\u0004\u0001\0\0\0\0\0x`);
      // A viewer that would give a password is turned away.
      const { input: asking } = await greet({ path: screen.vncSocket ?? assert.fail() });
      asking.socket.write(Buffer.concat([Buffer.of(2), Buffer.alloc(16)]));
      await refused(asking);
    });

    it('is reached by no other user, outside and inside', async (t) => {
      const { sandbox, screen } = await started(t, way);
      const { vncSocket = assert.fail() } = screen;
      for (const path of [vncSocket, join(dirname(vncSocket), 'picture')])
        for (const user of [NOBODY, 1]) assert.equal(asUser(user, path), 'EACCES', `${path} ${user}`);
      const script = `require('net').connect('/dev/.virt-sandbox/screen/user/vnc').on('connect', () => console.log('in'))
        .on('error', ({ code }) => console.log(code));`;
      const { stdout } = await sandbox.run([process.execPath, '-e', script], { user: 'daemon' });
      assert.equal(stdout, 'EACCES\n');
    });
  });

/** It comes to an end. What comes before is what a server says to those whom it lets in. */
async function refused(input: Input): Promise<void> {
  await assert.rejects(async () => {
    for (let count = 0; count < 100; count += 1) await input.read(1);
  });
}
