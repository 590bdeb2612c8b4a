/**
 * Promise: nobody but its user, and root, sees the screen of a sandbox or types on it; and what is inside can neither stop
 * who looks at it nor write to a terminal. The attackers are other users of the host, the user of its QEMU, a program
 * inside that takes over what shows it, root inside, viewers that say nothing, and whoever reaches its port without the
 * password.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connectSandbox, Sandbox, type SandboxOptions } from '../../src/index.js';
import { ACCELERATION } from '../helpers/acceleration.js';
import { embedded, system, type Way } from '../helpers/connections.js';
import { unlessDesktop } from '../helpers/desktop.js';
import { assertNothingLeft, exceptLogs, qemuOf, uniqueName } from '../helpers/leftovers.js';
import { greet, Input, Viewer } from '../helpers/rfb.js';

const NOBODY = 65_534;
/** How many QEMU keeps that have not given the password. */
const MOST_UNKNOWN = 32;
/** Of a busy host, in milliseconds. */
const PATIENCE_MS = 90_000;
const SLEEP = ['sleep', '1000'];
/** Nothing has to show it. */
const BARE = 'vnc,compositor=none';

async function started(t: TestContext, way: Way, options: Partial<SandboxOptions> = {}) {
  const warnings: string[] = [];
  const onWarning = (warning: string) => void warnings.push(warning);
  const wanted: SandboxOptions = {
    ...{ acceleration: ACCELERATION, name: uniqueName(), command: SLEEP, graphics: BARE },
    ...options,
  };
  const sandbox = await Sandbox.start(wanted, { connect: way.uri, control: true, onWarning });
  t.after(() => sandbox.stop());
  return { sandbox, warnings };
}

/** What a user of the host gets who connects to a socket. */
function asUser(uid: number, path: string): string {
  const script = `require('net').connect(process.argv[1]).on('connect', () => { console.log('in'); process.exit(); })
    .on('error', ({ code }) => console.log(code));`;
  const words = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--', process.execPath, '-e', script, path];
  return execFileSync('setpriv', words, { encoding: 'utf8', cwd: '/' }).trim();
}

for (const way of [embedded, system])
  describe(`the screen of root's machine over ${way.uri}`, { skip: way.skip }, () => {
    it('is seen by no other user of the host, and not by the user of its QEMU', async (t) => {
      const { sandbox } = await started(t, way);
      const { vncSocket = assert.fail() } = sandbox.screen;
      const [, uid] = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${qemuOf(sandbox.name)}/status`, 'utf8')) ?? [];
      assert.notEqual(Number(uid), 0);
      for (const path of [vncSocket, join(dirname(vncSocket), 'picture')])
        for (const user of [NOBODY, Number(uid)]) assert.equal(asUser(user, path), 'EACCES', `${path} ${user}`);
      (await Viewer.open(vncSocket)).close();
      await sandbox.stop();
      await assertNothingLeft(sandbox.name, exceptLogs(way.where));
    });
  });

describe('a screen', { skip: embedded.skip }, () => {
  it('is drawn for viewers that say nothing, and for whoever else asks', async (t) => {
    const { sandbox } = await started(t, embedded);
    const { screen, name } = sandbox;
    const { vncSocket = assert.fail() } = screen;
    // More than may wait, one after the other.
    await using other = await connectSandbox(name);
    for (let number = 0; number < 20; number += 1) assert.ok((await other.screen.screenshot()).length > 1000);
    const silent = Array.from({ length: 60 }, () => connect(vncSocket).on('error', () => {}));
    t.after(() => silent.forEach((socket) => void socket.destroy()));
    await Promise.allSettled(silent.map((socket) => once(socket, 'connect')));
    const asking = Array.from({ length: 40 }, () => connect(join(dirname(vncSocket), 'picture')).on('error', () => {}));
    for (const socket of asking) socket.pause();
    const pictures = await Promise.all(Array.from({ length: 5 }, () => screen.screenshot()));
    for (const picture of pictures) assert.ok(picture.length > 1000);
    for (const socket of asking) socket.destroy();
    await screen.type('a');
    await sandbox.stop();
    await assertNothingLeft(name, exceptLogs(embedded.where));
  });

  it('is drawn, and does not stop who types, when root inside takes its keyboard away', async (t) => {
    const { sandbox } = await started(t, embedded, { privileged: true });
    const unbind = 'cd /sys/bus/virtio/drivers/virtio_input && for one in virtio*; do echo "$one" >unbind; done; ls';
    assert.doesNotMatch((await sandbox.run(unbind)).stdout, /virtio\d/);
    // QEMU has nobody to give it to: it is dropped, or said to be.
    await sandbox.screen.type('hello').catch(({ code }: { code: string }) => assert.equal(code, 'input-failed'));
    assert.ok((await sandbox.screen.screenshot()).length > 1000);
  });

  it('writes no escapes to the terminal that a program inside lets its compositor say', {
    skip: unlessDesktop(),
  }, async (t) => {
    const { sandbox, warnings } = await started(t, embedded, { graphics: true });
    const find = 'for p in /proc/[0-9]*; do [ "$(cat $p/comm)" = cage ] && basename $p; done';
    const pid = (await sandbox.run(find)).stdout.trim();
    const lie = `printf 'a\\033]0;pwned\\007b\\033[2J\\n' >/proc/${pid}/fd/2; kill -9 ${pid}`;
    const { exitCode } = await sandbox.run(lie);
    assert.equal(exitCode, 0);
    while (warnings.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    const [warning = ''] = warnings;
    assert.match(warning, /cage has ended \(SIGKILL\).*pwned/);
    for (const character of warning) assert.ok(character >= ' ' && character !== '\u007f', JSON.stringify(warning));
  });

  it('that listens lets in nobody without its password, and those who have it, whoever else comes', async (t) => {
    const { sandbox } = await started(t, embedded, { graphics: `${BARE},listen=127.0.0.1:0` });
    const { listening: { address, port, password } = assert.fail(), vncSocket = assert.fail() } = sandbox.screen;
    const where = { host: address, port };
    const inside = await Viewer.openWith(password, where);

    // Kinds of security that were not offered: none, none of all, TLS. And answers to a challenge that was not made.
    for (const words of ['01', '00', '13', `02${'00'.repeat(16)}`, `01${'00'.repeat(16)}01`]) {
      const { input, kinds } = await greet(where);
      assert.deepEqual(kinds, [2]);
      input.socket.write(Buffer.from(words, 'hex'));
      await refused(input);
    }
    // Older versions of the protocol, in one of which the server chooses.
    for (const version of ['RFB 003.003\n', 'RFB 003.007\n', 'RFB 000.000\n', 'GET / HTTP/1.1\r\n\r\n']) {
      const socket = connect(where);
      const input = new Input(socket);
      await input.read(12);
      socket.write(version);
      socket.write(Buffer.concat([Buffer.of(1), Buffer.alloc(17)]));
      await refused(input);
    }

    // More than QEMU keeps, some of which say something now and then, beside more than may wait at once.
    let open = 0;
    const many = Array.from({ length: 120 }, () => connect(where).on('error', () => {}));
    t.after(() => many.forEach((socket) => void socket.destroy()));
    for (const [number, socket] of many.entries()) {
      open += 1;
      socket.resume().once('close', () => {
        open -= 1;
      });
      if (number % 2 === 0) socket.write('RFB');
    }
    const deadline = Date.now() + PATIENCE_MS;
    while (open > MOST_UNKNOWN) {
      assert.ok(Date.now() < deadline, `${open} are open`);
      await delay(50);
    }
    assert.equal(await inside.colourAt(3, 3), '#000000');
    for (const viewer of [await Viewer.openWith(password, where), await Viewer.open(vncSocket)]) viewer.close();
    assert.ok((await sandbox.screen.screenshot()).length > 1000);
    await sandbox.stop();
    await assertNothingLeft(sandbox.name, exceptLogs(embedded.where));
  });
});

/** What follows has no picture in it, and no more than an error's text. */
async function refused(input: Input): Promise<void> {
  let count = 0;
  await assert.rejects(async () => {
    for (;;) count += (await input.read(1)).length;
  });
  assert.ok(count < 100, `${count} bytes came`);
}
