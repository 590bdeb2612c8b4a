/** Programs with windows: what the screen shows, what keys and the pointer do, over every way to libvirt. */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { connectSandbox, Sandbox, type SandboxOptions } from '../../src/index.js';
import { ACCEL, ACCELERATION } from '../helpers/acceleration.js';
import { embedded, lxc, system } from '../helpers/connections.js';
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
import { assertFailure, assertRun, PROGRAM, runSandbox, startSandbox } from '../helpers/run.js';
import { DEBIAN_CLOUD_KERNEL, unlessInstalled } from '../helpers/scratch.js';
import { bakeSnapshot, privateStore, recordOf } from '../helpers/snapshots.js';

const SCRIPT = typedAndPressed();
const TEXT = 'Hello, World! 1+1=2 {"x": [~]} |\\<>?';
const POINT = [66, 60] as const;

const NOBODY = { uid: 65_534, gid: 65_534, username: 'nobody', home: '/nonexistent', groups: [] };

const { env, remove } = privateStore();
const { XDG_CACHE_HOME: usual } = process.env;

before(async () => {
  if (embedded.skip !== false) return;
  // The API of this process has the same store.
  process.env['XDG_CACHE_HOME'] = env.XDG_CACHE_HOME;
  const baked = await bakeSnapshot(['-c', embedded.uri], { env }, ['--graphics']);
  assert.deepEqual(recordOf(baked).screen, { width: 1280, height: 800 });
});
after(() => {
  if (usual === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = usual;
  remove();
});

async function started(
  t: TestContext,
  connect: string,
  options: SandboxOptions,
): Promise<{ sandbox: Sandbox; warnings: string[] }> {
  const warnings: string[] = [];
  const onWarning = (warning: string) => void warnings.push(warning);
  const wanted: SandboxOptions = { acceleration: ACCELERATION, name: uniqueName(), identity: NOBODY, ...options };
  const sandbox = await Sandbox.start(wanted, { connect, control: true, onWarning });
  t.after(() => sandbox.stop());
  return { sandbox, warnings };
}

const ways = [embedded, system];
for (const way of ways)
  describe(`a terminal on a screen over ${way.uri}`, { skip: way.skip || unlessDesktop() }, () => {
    it('is seen, typed into, and clicked at, by this process and by another one', async (t) => {
      const { sandbox, warnings } = await started(t, way.uri, {
        command: terminal(SCRIPT),
        graphics: true,
        boot: 'warm',
      });
      const { screen } = sandbox;
      assert.deepEqual(screen.size, { width: 1280, height: 800 });
      await untilShows(screen, BLUE, 0.9);
      await screen.type(`${TEXT}\n`);
      await untilWritten(sandbox, '/tmp/typed', (typed) => typed === TEXT);

      // What follows is done over the socket for others.
      await using other = await connectSandbox(sandbox.name);
      assert.deepEqual(other.screen.size, screen.size);
      assert.ok(partOf(await other.screen.screenshot(), BLUE) > 0.9);
      await other.screen.click(...POINT);
      const pressed = await untilWritten(other, '/tmp/pressed', ({ length }) => length === 6);
      // ESC [ M, the left button, and characters of 6 by 13 pixels, from 33 on.
      const [button = 0, column = 0, row = 0] = Buffer.from(pressed).subarray(3);
      assert.equal(button, 32);
      assert.ok(Math.abs(column - 33 - POINT[0] / 6) < 2 && Math.abs(row - 33 - POINT[1] / 13) < 2, `${column} ${row}`);
      const file = join(mkdtempSync('/var/tmp/virt-sandbox-test-'), 'screen.png');
      t.after(() => rmSync(join(file, '..'), { recursive: true }));
      assertRun(await ctl(['screenshot', sandbox.name, file]), 0, '');
      assert.ok(partOf(readFileSync(file), BLUE) > 0.9);

      const { vncSocket = assert.fail() } = screen;
      const told = JSON.parse((await ctl(['inspect', sandbox.name])).out) as { screen?: { vncSocket?: string } }[];
      assert.equal(told[0]?.screen?.vncSocket, vncSocket);
      const viewers = [await Viewer.open(vncSocket), await Viewer.open(vncSocket)];
      t.after(() => viewers.forEach((viewer) => void viewer.close()));
      for (const viewer of viewers) {
        assert.deepEqual([viewer.width, viewer.height], [1280, 800]);
        assert.equal(await viewer.colourAt(640, 700), BLUE);
      }
      assert.deepEqual(warnings, []);
      await sandbox.stop();
      await assertNothingLeft(sandbox.name, way.where);
    });
  });

describe('the screen of a sandbox', { skip: embedded.skip || unlessDesktop() }, () => {
  const run = (...words: readonly string[]) => runSandbox(['-c', embedded.uri, ...ACCEL, ...words], { env });

  for (const compositor of ['xorg', 'weston'])
    it(`is shown by ${compositor}`, async (t) => {
      const { sandbox, warnings } = await started(t, embedded.uri, {
        command: terminal('read -r line; printf %s "$line" >/tmp/typed; while :; do sleep 1000; done'),
        graphics: `none,compositor=${compositor}`,
      });
      const { screen } = sandbox;
      assert.equal(screen.vncSocket, undefined);
      await untilShows(screen, BLUE, 0.1);
      // Without a window manager, keys go to the window that the pointer is over.
      await screen.move(...POINT);
      await screen.type(`${TEXT}\n`);
      await untilWritten(sandbox, '/tmp/typed', (typed) => typed === TEXT);
      assert.deepEqual(warnings, []);
    });

  it('is typed on as a whole, though what shows it stands still for a while', async (t) => {
    const { sandbox } = await started(t, embedded.uri, {
      command: terminal('read -r line; printf %s "$line" >/tmp/typed; while :; do sleep 1000; done'),
      graphics: true,
    });
    const { screen } = sandbox;
    await untilShows(screen, BLUE, 0.9);
    const pause = 'for p in /proc/[0-9]*; do [ "$(cat $p/comm)" = cage ] && pid=$(basename $p); done; kill -STOP $pid';
    const paused = sandbox.run(`${pause}; echo; sleep 2; kill -CONT $pid`);
    // More than the kernel keeps for it.
    const long = TEXT.repeat(3);
    await screen.type(`${long}\n`);
    assert.equal((await paused).exitCode, 0);
    await untilWritten(sandbox, '/tmp/typed', (typed) => typed === long);
  });

  it('ends with the command, whose streams and exit status are its own', async () => {
    const name = uniqueName();
    const script = 'echo "$WAYLAND_DISPLAY $DISPLAY $XDG_SESSION_TYPE"; echo to stderr >&2; exit 7';
    assertRun(
      await run('--graphics', '-n', name, '--', 'sh', '-c', script),
      7,
      'wayland-0 :0 wayland\n',
      'to stderr\n',
    );
    await assertNothingLeft(name, embedded.where);
  });

  it('is drawn on by the command itself, which alone may open its devices', async () => {
    const script = 'stat -c "%a %u %n" /dev/dri/card0 /dev/input/event[12] "$XDG_RUNTIME_DIR"; echo "$DISPLAY"';
    const result = await run('-S', 'nobody', '--graphics=none,compositor=none', '--', 'sh', '-c', script);
    assert.equal(result.code, 0, result.stderr);
    assert.deepEqual(result.out.split('\n'), [
      ...['dri/card0', 'input/event1', 'input/event2'].map((name) => `600 65534 /dev/${name}`),
      '700 65534 /dev/.virt-sandbox/screen/user',
      '',
      '',
    ]);
  });

  it('is that of the machine that was saved, and of no other', async () => {
    assertFailure(await run('--boot', 'warm', '--', 'true'), /warm/, /has a screen; bake one with/);
    const other = await run('--boot', 'warm', '--graphics=vnc,size=800x600', '--', 'true');
    assertFailure(other, /has a screen of 1280x800/, /--for '[^']*--graphics=vnc,size=800x600'/);
  });

  it('says which package is missing', async (t) => {
    const root = mkdtempSync('/var/tmp/virt-sandbox-test-');
    t.after(() => rmSync(root, { recursive: true }));
    chmodSync(root, 0o755);
    for (const directory of ['bin', 'dev', 'proc', 'sys', 'run', 'tmp']) mkdirSync(join(root, directory));
    cpSync('/bin/busybox', join(root, 'bin/sh'));
    const failed = assertFailure(
      await run('-r', root, '--graphics', '--', '/bin/sh', '-c', 'true'),
      /there is no cage and xorg/,
      /apt-get install cage xwayland, or apt-get install xserver-xorg-core/,
    );
    assert.match(failed, /^init: /);
    const weston = await run('-r', root, '--graphics=vnc,compositor=weston', '--', '/bin/sh', '-c', 'true');
    assertFailure(weston, /there is no weston/, /apt-get install weston/);
  });

  it('says why nothing can show it, and that what showed it has ended', async (t) => {
    const failed = await run('-e', 'WLR_BACKENDS=nonsense', '--graphics', '--', 'true');
    assert.equal(failed.code, 125);
    assert.match(failed.stderr, /^virt-sandbox: init: cage, which is to show .* ended \(exit status 1\)/);
    const script = 'for p in /proc/[0-9]*; do [ "$(cat $p/comm)" = cage ] && kill -9 $(basename $p); done; sleep 2';
    const running = startSandbox(['-c', embedded.uri, ...ACCEL, '--graphics', '--', 'sh', '-c', script], { env });
    t.after(() => running.child.kill('SIGTERM'));
    const { code, stderr } = await running.result;
    assert.equal(code, 0);
    assert.match(stderr, /cage has ended \(SIGKILL\), so the screen shows nothing any more/);
  });

  it('is none where the common init runs in the guest', async (t) => {
    const output = join(mkdtempSync('/var/tmp/virt-sandbox-test-'), 'image');
    t.after(() => rmSync(join(output, '..'), { recursive: true }));
    const bake = ['create', '--common-init', 'guest', '--for', '--graphics', '--output', output];
    assert.equal((await runSandbox(bake, { env, program: `${PROGRAM}-bake` })).code, 0);
    const failed = await run('--image', output, '--graphics', '--', 'true');
    assertFailure(failed, /the common init in the guest cannot start what shows programs on a screen/);
  });

  it('needs a kernel with DRM', { skip: unlessInstalled(DEBIAN_CLOUD_KERNEL) }, async () => {
    const failed = await run('--kernver', DEBIAN_CLOUD_KERNEL, '--graphics', '--', 'true');
    assertFailure(failed, /has no virtio graphics card, neither built in nor as a module/, /use kernel/);
  });

  it('is none of a container, nor of a sandbox without', { skip: lxc.skip }, async (t) => {
    const container = await runSandbox(['-c', lxc.uri, '--graphics', '--', 'true'], lxc.options);
    assertFailure(container, /--graphics gives a machine a card/);
    const { sandbox } = await started(t, embedded.uri, { command: ['sleep', '1000'] });
    assert.throws(() => sandbox.screen, { code: 'screen-missing' });
    await using other = await connectSandbox(sandbox.name);
    assert.throws(() => other.screen, { code: 'screen-missing' });
    await rejectsWith(other.ask({ ask: 'input', inputs: [] }), 'control-failed', /no screen/);
  });
});

describe('an ordinary user', { skip: unlessOrdinaryUser() || unlessDesktop() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  it('has a screen', async (t) => {
    const name = uniqueName();
    const words = ['-c', 'qemu:///session', ...ACCEL, '-n', name, '--graphics', '--', ...terminal('read -r line')];
    const running = startSandbox(words, user.options);
    t.after(() => running.child.kill('SIGTERM'));
    await untilShows(screenOf(name, running, user.options), BLUE, 0.9);

    // Root sees it, and is led nowhere: what the user has on record may be anything.
    const passwd = join(user.home, 'passwd');
    const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
    const moved = lines.map((line) =>
      line.startsWith('nobody:') ? line.split(':').with(5, user.home).join(':') : line,
    );
    writeFileSync(passwd, moved.join('\n'));
    const through = ['unshare', '--mount', '--', 'sh', '-ec', 'mount --bind "$0" /etc/passwd; exec "$@"', passwd];
    const seen = await ctl(['screenshot', `nobody/${name}`, '-'], { through });
    assert.equal(seen.code, 0, seen.stderr);
    assert.ok(partOf(seen.stdout, BLUE) > 0.9);
    const [own = '', others = ''] = [
      (await ctl(['inspect', name], user.options)).out,
      (await ctl(['inspect', `nobody/${name}`], { through })).out,
    ];
    assert.match(own, /"vncSocket": "/);
    assert.match(others, /"screen": \{/);
    assert.doesNotMatch(others, /vncSocket/);
    running.child.kill('SIGTERM');
    await running.result;
    await assertNothingLeft(name, exceptLogs(user.where));
  });
});
