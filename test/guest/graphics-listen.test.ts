/** Viewers of VNC that come over TCP, with a password: `--graphics=vnc,listen=…`. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import { connectSandbox, type Listening, Sandbox } from '../../src/index.js';
import { ACCEL, ACCELERATION } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { ctl } from '../helpers/ctl.js';
import { BLUE, terminal, unlessDesktop, untilShows } from '../helpers/desktop.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { Refusal, Viewer } from '../helpers/rfb.js';
import { assertFailure, runSandbox, startSandbox } from '../helpers/run.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

/** A state in /proc/net/tcp. */
const LISTEN = '0A';

const NOBODY = { uid: 65_534, gid: 65_534, username: 'nobody', home: '/nonexistent', groups: [] };
const SLEEP = terminal('while :; do sleep 1000; done');

const { env, remove } = privateStore();
const { XDG_CACHE_HOME: usual } = process.env;

before(async () => {
  if (embedded.skip !== false) return;
  // The API of this process has the same store.
  process.env['XDG_CACHE_HOME'] = env.XDG_CACHE_HOME;
  await bakeSnapshot(['-c', embedded.uri], { env }, ['--graphics']);
});
after(() => {
  if (usual === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = usual;
  remove();
});

/** The TCP ports at which processes listen. */
function portsOf(pids: readonly number[]): number[] {
  const inodes = new Set(pids.flatMap(socketsOf));
  const lines = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/self/net/${name}`, 'utf8').split('\n').slice(1));
  return lines.flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    return state === LISTEN && inodes.has(inode) ? [Number.parseInt(local.split(':')[1] ?? '', 16)] : [];
  });
}

/** Inodes of the sockets that a process has. */
function socketsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      // It has been closed.
      return [];
    }
  });
}

/** Sees the picture with the password, and nothing with another one or none. */
async function assertViewers({ address, port, password }: Listening): Promise<void> {
  assert.match(password, /^[2-9A-HJ-NP-Za-km-z]{8}$/);
  const where = { host: address, port };
  const viewers = [await Viewer.openWith(password, where), await Viewer.openWith(password, where)];
  for (const viewer of viewers) {
    assert.equal(await viewer.colourAt(640, 700), BLUE);
    viewer.close();
  }
  for (const wrong of [
    '',
    'password',
    password.slice(0, -1),
    `${password.startsWith('2') ? '3' : '2'}${password.slice(1)}`,
  ])
    await assert.rejects(Viewer.openWith(wrong, where), Refusal, JSON.stringify(wrong));
}

/** The password is in no command line, and in no file that is not for its owner alone. */
function assertSecret(password: string, directories: readonly string[]): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    for (const file of ['cmdline', 'environ']) assert.ok(!readOrNothing(`/proc/${pid}/${file}`).includes(password));
  }
  for (const directory of directories) {
    const found = execFileSync('sh', ['-c', 'grep -rlaF -D skip -- "$0" "$1" || [ $? -ne 0 ]', password, directory]);
    assert.deepEqual(
      String(found)
        .split('\n')
        .filter((path) => path !== '' && !path.endsWith('/sandbox.json')),
      [],
    );
  }
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It has ended, or is the kernel's.
    return '';
  }
}

async function started(t: TestContext, connect: string, boot: 'warm' | 'cold', graphics: string): Promise<Sandbox> {
  const sandbox = await Sandbox.start(
    { acceleration: ACCELERATION, name: uniqueName(), identity: NOBODY, command: SLEEP, graphics, boot },
    { connect, control: true },
  );
  t.after(() => sandbox.stop());
  return sandbox;
}

const ways = [
  { way: embedded, boot: 'cold', listen: '127.0.0.1:0' },
  { way: embedded, boot: 'warm', listen: '[::1]:0' },
  { way: system, boot: 'cold', listen: '[::1]:0' },
  { way: system, boot: 'warm', listen: '127.0.0.1:0' },
] as const;
for (const { way, boot, listen } of ways)
  describe(`a screen that listens over ${way.uri}, ${boot}`, { skip: way.skip || unlessDesktop() }, () => {
    it('is seen with its password only, and the socket still asks for none', async (t) => {
      const sandbox = await started(t, way.uri, boot, `vnc,listen=${listen}`);
      assert.equal(sandbox.launched.boot, boot);
      const { listening: at = assert.fail(), vncSocket = assert.fail() } = sandbox.screen;
      assert.equal(at.address, listen.startsWith('[') ? '::1' : '127.0.0.1');
      const holders = [process.pid, (await sandbox.launched.qemuPid()) ?? assert.fail()];
      assert.deepEqual(portsOf(holders), [at.port]);
      await untilShows(sandbox.screen, BLUE, 0.9);
      await assertViewers(at);
      (await Viewer.open(vncSocket)).close();

      await using other = await connectSandbox(sandbox.name);
      assert.deepEqual(other.screen.listening, at);
      const told = JSON.parse((await ctl(['inspect', sandbox.name])).out) as { screen?: { listening?: Listening } }[];
      assert.deepEqual(told[0]?.screen?.listening, at);
      assertSecret(at.password, ['/run/libvirt-sandbox', '/run/libvirt', '/var/log']);

      // One that is in ends with it.
      const viewer = await Viewer.openWith(at.password, { host: at.address, port: at.port });
      await sandbox.stop();
      await assert.rejects(viewer.colourAt(0, 0));
      assert.deepEqual(portsOf([process.pid]), []);
      assert.deepEqual(portsOf([process.pid]), []);
      await assertNothingLeft(sandbox.name, exceptLogs(way.where));
    });
  });

describe('a screen', { skip: embedded.skip || unlessDesktop() }, () => {
  const run = (...words: readonly string[]) => runSandbox(['-c', embedded.uri, ...ACCEL, ...words], { env });

  it('listens at no port without listen=', async (t) => {
    const sandbox = await started(t, embedded.uri, 'warm', 'vnc');
    assert.equal(sandbox.screen.listening, undefined);
    assert.deepEqual(portsOf([process.pid, (await sandbox.launched.qemuPid()) ?? assert.fail()]), []);
  });

  it('says where it listens, once and to the caller', async (t) => {
    const name = uniqueName();
    const words = ['-n', name, '-S', 'nobody', '--graphics=vnc,listen=127.0.0.1:0', '--', ...SLEEP];
    const detached = await run('--detach', ...words);
    t.after(() => ctl(['stop', name]));
    assert.equal(detached.code, 0, detached.stderr);
    const said = /^virt-sandbox: the screen is at 127\.0\.0\.1:(\d+) for VNC; the password is (\S{8})$/gm;
    const [[, port, password] = [], ...more] = [...detached.stderr.matchAll(said)];
    assert.deepEqual(more, []);
    const { screen } = await connectSandbox(name);
    assert.deepEqual(screen.listening, { address: '127.0.0.1', port: Number(port), password });
    assert.ok(!(await ctl(['logs', name])).out.includes(password ?? ''));
  });

  it('says that its port is taken, before anything is started', async (t) => {
    const taken = createServer().listen(0, '127.0.0.1');
    t.after(() => taken.close());
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as { port: number };
    const name = uniqueName();
    const failed = await run('--boot', 'warm', '-n', name, `--graphics=vnc,listen=127.0.0.1:${port}`, '--', 'true');
    assertFailure(
      failed,
      new RegExp(`^virt-sandbox: config: TCP port ${port} of 127\\.0\\.0\\.1 is taken`),
      /0 takes a free one/,
    );
    await assertNothingLeft(name, embedded.where);
  });
});

describe('an ordinary user', { skip: unlessOrdinaryUser() || unlessDesktop() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  it('has a screen that listens, whose password root is not told', async (t) => {
    const name = uniqueName();
    const words = ['-c', 'qemu:///session', ...ACCEL, '-n', name, '--graphics=vnc,listen=127.0.0.1:0', '--', ...SLEEP];
    const running = startSandbox(words, user.options);
    t.after(() => running.child.kill('SIGTERM'));
    let told: Listening | undefined;
    while (told === undefined) {
      assert.equal(running.child.exitCode, null, running.stderr());
      const { code, out } = await ctl(['inspect', name], user.options);
      if (code === 0)
        [
          {
            screen: { listening: told },
          },
        ] = JSON.parse(out) as [{ screen: { listening: Listening } }];
    }
    const screenshot = async () => (await ctl(['screenshot', name, '-'], user.options)).stdout;
    await untilShows({ screenshot }, BLUE, 0.9);
    await assertViewers(told);
    running.child.kill('SIGTERM');
    await running.result;
    assert.equal([...running.stderr().matchAll(new RegExp(told.password, 'g'))].length, 1);
    await assertNothingLeft(name, exceptLogs(user.where));
  });
});
