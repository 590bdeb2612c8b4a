/** --graphics=xvnc: programs with windows where there is no card, shown by a VNC server inside. */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { connectSandbox, Sandbox } from '../../src/index.js';
import { ACCEL, ACCELERATION } from '../helpers/acceleration.js';
import { embedded, lxc, system, type Way } from '../helpers/connections.js';
import { ctl } from '../helpers/ctl.js';
import {
  BLUE,
  partOf,
  screenOf,
  terminal,
  typedAndPressed,
  unlessDesktop,
  untilShows,
  untilWritten,
} from '../helpers/desktop.js';
import { rejectsWith } from '../helpers/errors.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { Viewer } from '../helpers/rfb.js';
import { assertFailure, assertRun, runSandbox, startSandbox } from '../helpers/run.js';
import { DEBIAN_CLOUD_KERNEL, unlessInstalled } from '../helpers/scratch.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

const SCRIPT = typedAndPressed('until [ -e /tmp/end ]; do sleep 0.2; done');
const TEXT = 'Hello, World! 1+1=2 {"x": [~]} |\\<>?';
const POINT = [66, 60] as const;

const skip = unlessDesktop();
const { env, remove } = privateStore();
after(remove);

/** The words that run something as nobody: xterm gives up as root without capabilities. */
function wordsOf(way: Way, name: string, more: readonly string[], command: readonly string[]): string[] {
  const machine = way === lxc ? [] : ACCEL;
  return ['-c', way.uri, ...machine, '-n', name, '-S', 'nobody', ...more, '--', ...command];
}

/** A sandbox in the background. */
async function detached(t: TestContext, way: Way, more: readonly string[], command: readonly string[]) {
  const name = uniqueName();
  t.after(() => ctl(['kill', name], way.options));
  const started = await runSandbox(['--detach', ...wordsOf(way, name, more, command)], {
    ...way.options,
    env: { ...env, ...way.options.env },
  });
  assertRun(started, 0, `${name}\n`);
  return name;
}

before(async () => {
  if (embedded.skip === false) await bakeSnapshot(['-c', embedded.uri], { env });
});

for (const way of [embedded, system, lxc])
  describe(`a terminal without a card over ${way.uri}`, { skip: way.skip || skip }, () => {
    it('is seen, typed into, clicked at and looked at, and ends with its program', async (t) => {
      // A snapshot without a screen serves it.
      const warm = way === lxc ? [] : ['--boot', 'warm'];
      // The program's status is what the sandbox ends with.
      const command = ['sh', '-c', 'xterm -bg "$1" -fg white -e sh -c "$2"; exit 7', 'sh', BLUE, SCRIPT];
      const name = await detached(t, way, [...warm, '--graphics=xvnc,size=640x480'], command);
      await using sandbox = await connectSandbox(name);
      const { screen } = sandbox;
      assert.deepEqual(screen.size, { width: 640, height: 480 });
      const seen = await untilShows(screen, BLUE, 0.4);
      assert.deepEqual([seen.readUInt32BE(16), seen.readUInt32BE(20)], [640, 480]);
      // Without a window manager, keys go to the window that the pointer is over.
      await screen.move(...POINT);
      await screen.type(`${TEXT}\n`);
      await untilWritten(sandbox, '/tmp/typed', (typed) => typed === TEXT);
      await screen.click(...POINT);
      const pressed = await untilWritten(sandbox, '/tmp/pressed', ({ length }) => length === 6);
      // ESC [ M, the left button, and characters of 6 by 13 pixels, from 33 on.
      const [button = 0, column = 0, row = 0] = Buffer.from(pressed).subarray(3);
      assert.equal(button, 32);
      assert.ok(Math.abs(column - 33 - POINT[0] / 6) < 2 && Math.abs(row - 33 - POINT[1] / 13) < 2, `${column} ${row}`);

      const file = join(mkdtempSync('/var/tmp/virt-sandbox-test-'), 'screen.png');
      t.after(() => rmSync(join(file, '..'), { recursive: true }));
      assertRun(await ctl(['screenshot', name, file], way.options), 0, '');
      assert.ok(partOf(readFileSync(file), BLUE) > 0.4);

      const { vncSocket = assert.fail() } = screen;
      assert.equal(statSync(vncSocket).mode & 0o777, 0o600);
      const viewers = [await Viewer.open(vncSocket), await Viewer.open(vncSocket)];
      t.after(() => viewers.forEach((viewer) => void viewer.close()));
      for (const viewer of viewers) {
        assert.deepEqual([viewer.width, viewer.height], [640, 480]);
        assert.equal(await viewer.colourAt(300, 200), BLUE);
      }
      // The launcher, and two viewers. Each of them has a process inside, which leaves with it.
      await untilConnections(sandbox, 3);
      viewers[0]?.close();
      await untilConnections(sandbox, 2);
      assert.equal(await viewers[1]?.colourAt(300, 200), BLUE);

      const ending = sandbox.wait();
      // The sandbox may end before that is said.
      await sandbox.run(['touch', '/tmp/end']).catch(() => {});
      assert.equal((await ending).exitCode, 7);
      await assertNothingLeft(name, exceptLogs(way.where));
    });

    it('is the command, with its own streams and exit status', async () => {
      const name = uniqueName();
      const script = 'echo "$DISPLAY $XDG_SESSION_TYPE"; echo to stderr >&2; exit 7';
      const words = wordsOf(way, name, ['--graphics=xvnc'], ['sh', '-c', script]);
      const result = await runSandbox(words, { ...way.options, env: { ...env, ...way.options.env } });
      assertRun(result, 7, ':0 x11\n', 'to stderr\n');
      await assertNothingLeft(name, exceptLogs(way.where));
    });
  });

/** Waits until the VNC server has so many connections. */
async function untilConnections(sandbox: Pick<Sandbox, 'run'>, count: number): Promise<void> {
  for (const deadline = Date.now() + 90_000; ; ) {
    const { stdout } = await sandbox.run(['grep', '-c', '/user/vnc$', '/proc/net/unix']);
    // The server's own socket is one of them.
    if (Number(stdout) === count + 1) return;
    if (Date.now() > deadline) assert.fail(`there are ${Number(stdout) - 1} connections`);
  }
}

describe('a screen without a card', { skip: embedded.skip || skip }, () => {
  const run = (...words: readonly string[]) => runSandbox(['-c', embedded.uri, ...ACCEL, ...words], { env });

  it('needs no DRM', { skip: unlessInstalled(DEBIAN_CLOUD_KERNEL) }, async (t) => {
    const kernel = ['--kernver', DEBIAN_CLOUD_KERNEL];
    const name = await detached(t, embedded, [...kernel, '--graphics=xvnc'], terminal('read -r line'));
    await using sandbox = await connectSandbox(name);
    await untilShows(sandbox.screen, BLUE, 0.1);
  });

  it('belongs to its user alone', async () => {
    const script = 'stat -c "%a %u %n" "$XDG_RUNTIME_DIR" "$XDG_RUNTIME_DIR/vnc"; ls /dev/dri /dev/input/event1 2>&1';
    const result = await run('-S', 'nobody', '--graphics=xvnc', '--', 'sh', '-c', script);
    const directory = '/dev/.virt-sandbox/screen/user';
    assert.deepEqual(result.out.split('\n').slice(0, 2), [`700 65534 ${directory}`, `600 65534 ${directory}/vnc`]);
    assert.match(result.out, /\/dev\/dri.*No such file/);
  });

  it('has the size that a program inside gives it', async (t) => {
    const { sandbox } = await started(t, { command: ['sleep', '1000'] });
    await sandbox.screen.screenshot();
    const { exitCode, stderr } = await sandbox.run(['xrandr', '-s', '1024x768']);
    assert.equal(exitCode, 0, stderr);
    const picture = await sandbox.screen.screenshot();
    assert.deepEqual([picture.readUInt32BE(16), picture.readUInt32BE(20)], [1024, 768]);
  });

  it('keeps keys and buttons down from one call to the next', async (t) => {
    const { sandbox } = await started(t, { command: terminal(`stty raw -echo; printf '\\033[?1003h'; cat >/tmp/all`) });
    await untilShows(sandbox.screen, BLUE, 0.1);
    const { screen } = sandbox.launched;
    await screen?.enter([{ type: 'move', x: 60, y: 60 }]);
    await screen?.enter([{ type: 'button', button: 'right', down: true }]);
    await screen?.enter([{ type: 'move', x: 90, y: 60 }]);
    await screen?.enter([{ type: 'button', button: 'right', down: false }]);
    // The right button goes down, is dragged, and goes up.
    await untilWritten(sandbox, '/tmp/all', (all) => /\[M".*\[MB.*\[M#/s.test(all));
  });

  it('says which package is missing', async (t) => {
    const root = mkdtempSync('/var/tmp/virt-sandbox-test-');
    t.after(() => rmSync(root, { recursive: true }));
    chmodSync(root, 0o755);
    for (const directory of ['bin', 'dev', 'proc', 'sys', 'run', 'tmp']) mkdirSync(join(root, directory));
    cpSync('/bin/busybox', join(root, 'bin/sh'));
    const failed = await run('-r', root, '--graphics=xvnc', '--', '/bin/sh', '-c', 'true');
    const message = assertFailure(failed, /there is no xvnc/, /apt-get install tigervnc-standalone-server\)$/m);
    assert.match(message, /^init: /);
  });

  it('says that what showed it has ended, and lets the command go on', async (t) => {
    const { sandbox, warnings } = await started(t, { command: ['sleep', '1000'] });
    await sandbox.screen.screenshot();
    await sandbox.run(
      'for p in /proc/[0-9]*; do case $(cat $p/comm) in Xtigervnc) kill -9 $(basename $p);; esac; done',
    );
    await rejectsWith(sandbox.screen.screenshot(), 'screenshot-failed', /Xtigervnc|VNC server/);
    await rejectsWith(sandbox.screen.type('a'), 'input-failed', /takes no input/);
    assert.equal((await sandbox.run('true')).exitCode, 0);
    while (warnings.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.match(warnings[0] ?? '', /xvnc has ended \(SIGKILL\), so the screen shows nothing any more/);
  });

  it('has no compositor', async () => {
    const failed = await run('--graphics=xvnc,compositor=cage', '--', 'true');
    assertFailure(failed, /both xvnc, an X server without a card, and the compositor cage/, /leave out the compositor/);
  });
});

async function started(t: TestContext, options: { readonly command: readonly string[] }) {
  const warnings: string[] = [];
  const sandbox = await Sandbox.start(
    {
      ...{ acceleration: ACCELERATION, name: uniqueName(), graphics: 'xvnc,size=640x480', ...options },
      identity: { uid: 65_534, gid: 65_534, username: 'nobody', home: '/nonexistent', groups: [] },
    },
    { connect: embedded.uri, control: true, onWarning: (warning) => void warnings.push(warning) },
  );
  t.after(() => sandbox.stop());
  return { sandbox, warnings };
}

describe('an ordinary user without a card', { skip: unlessOrdinaryUser() || skip }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  it('has a screen', async (t) => {
    const name = uniqueName();
    const words = ['-c', 'qemu:///session', ...ACCEL, '-n', name, '--graphics=xvnc', '--', ...terminal('read -r line')];
    const running = startSandbox(words, user.options);
    t.after(() => running.child.kill('SIGTERM'));
    await untilShows(screenOf(name, running, user.options), BLUE, 0.1);
    running.child.kill('SIGTERM');
    await running.result;
    await assertNothingLeft(name, exceptLogs(user.where));
  });
});
