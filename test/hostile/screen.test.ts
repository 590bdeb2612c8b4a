/**
 * Promise: nobody but its user, and root, sees the screen of a sandbox or types on it; and what is inside can neither stop
 * who looks at it nor write to a terminal. The attackers are other users of the host, the user of its QEMU, a program
 * inside that takes over what shows it, root inside, and viewers that say nothing.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { connectSandbox, Sandbox, type SandboxOptions } from '../../src/index.js';
import { ACCELERATION } from '../helpers/acceleration.js';
import { embedded, system, type Way } from '../helpers/connections.js';
import { unlessDesktop } from '../helpers/desktop.js';
import { assertNothingLeft, exceptLogs, qemuOf, uniqueName } from '../helpers/leftovers.js';
import { Viewer } from '../helpers/rfb.js';

const NOBODY = 65_534;
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
});
