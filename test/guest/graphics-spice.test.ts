/** Viewers of SPICE: `--graphics=spice`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { connectSandbox, Sandbox } from '../../src/index.js';
import { ACCEL, ACCELERATION } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { ctl } from '../helpers/ctl.js';
import { BLUE, terminal, unlessDesktop, untilShows } from '../helpers/desktop.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, runSandbox, startSandbox } from '../helpers/run.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

const NOBODY = { uid: 65_534, gid: 65_534, username: 'nobody', home: '/nonexistent', groups: [] };
const CLIENT = '/usr/bin/spicy-screenshot';
const MODULE = '/usr/lib/x86_64-linux-gnu/qemu/ui-spice-core.so';
/** Of a busy host, in milliseconds. */
const PATIENCE_MS = 90_000;

function unlessSpice(): string | false {
  const missing = [CLIENT, MODULE].filter((path) => !existsSync(path));
  return missing.length === 0 ? false : `${missing.join(' and ')} is missing (scripts/setup test)`;
}

/** Which part of the picture that a viewer gets has that colour. */
async function partSeen(t: TestContext, socket: string, colour: string): Promise<number> {
  const directory = mkdtempSync('/var/tmp/virt-sandbox-test-');
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'screen.ppm');
  await promisify(execFile)(CLIENT, [`--uri=spice+unix://${socket}`, `--out-file=${file}`], { timeout: PATIENCE_MS });
  const picture = readFileSync(file);
  const [head = '', width, height] = /^P6\n(\d+) (\d+)\n255\n/.exec(picture.toString('latin1', 0, 30)) ?? [];
  assert.deepEqual([width, height], ['1280', '800']);
  const wanted = Number.parseInt(colour.slice(1), 16);
  let count = 0;
  for (let at = head.length; at < picture.length; at += 3) if (picture.readUIntBE(at, 3) === wanted) count += 1;
  return count / (1280 * 800);
}

const { env, remove } = privateStore();
const { XDG_CACHE_HOME: usual } = process.env;
before(async () => {
  if (embedded.skip !== false) return;
  process.env['XDG_CACHE_HOME'] = env.XDG_CACHE_HOME;
  await bakeSnapshot(['-c', embedded.uri], { env }, ['--graphics']);
});
after(() => {
  if (usual === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = usual;
  remove();
});

// A snapshot serves viewers of either kind.
const ways = [
  { way: embedded, boot: 'warm' },
  { way: embedded, boot: 'cold' },
  { way: system, boot: 'warm' },
] as const;
for (const { way, boot } of ways)
  describe(`SPICE over ${way.uri}, ${boot}`, { skip: way.skip || unlessDesktop() || unlessSpice() }, () => {
    it('shows the screen to viewers, at a socket of its user', async (t) => {
      const sandbox = await Sandbox.start(
        {
          ...{ acceleration: ACCELERATION, name: uniqueName(), identity: NOBODY, graphics: 'spice', boot },
          command: terminal('while :; do sleep 1000; done'),
        },
        { connect: way.uri, control: true },
      );
      t.after(() => sandbox.stop());
      const { spiceSocket = assert.fail(), vncSocket } = sandbox.screen;
      assert.equal(vncSocket, undefined);
      assert.equal(statSync(spiceSocket).mode & 0o777, 0o600);
      await using other = await connectSandbox(sandbox.name);
      assert.equal(other.screen.spiceSocket, spiceSocket);
      await untilShows(sandbox.screen, BLUE, 0.9);
      for (let number = 0; number < 2; number += 1) assert.ok((await partSeen(t, spiceSocket, BLUE)) > 0.9);
      await sandbox.stop();
      await assertNothingLeft(sandbox.name, exceptLogs(way.where));
    });
  });

describe('an ordinary user', { skip: unlessOrdinaryUser() || unlessDesktop() || unlessSpice() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  it('has viewers of SPICE, also beside some that say nothing or nonsense', async (t) => {
    const name = uniqueName();
    const command = terminal('while :; do sleep 1000; done');
    const running = startSandbox(
      ['-c', 'qemu:///session', ...ACCEL, '-n', name, '--graphics=spice', '--', ...command],
      user.options,
    );
    t.after(() => running.child.kill('SIGTERM'));
    let socket: string | undefined;
    while (socket === undefined) {
      assert.equal(running.child.exitCode, null, running.stderr());
      const { code, out } = await ctl(['inspect', name], user.options);
      if (code === 0)
        [
          {
            screen: { spiceSocket: socket },
          },
        ] = JSON.parse(out) as [{ screen: { spiceSocket: string } }];
    }
    const screenshot = async () => (await ctl(['screenshot', name, '-'], user.options)).stdout;
    await untilShows({ screenshot }, BLUE, 0.9);
    for (const words of ['', 'REDQ', `REDQ${'\xff'.repeat(60)}`, 'GET / HTTP/1.1\r\n\r\n'])
      for (let number = 0; number < 15; number += 1) {
        const other = connect(socket).on('error', () => {});
        t.after(() => other.destroy());
        other.write(Buffer.from(words, 'latin1'));
      }
    assert.ok((await partSeen(t, socket, BLUE)) > 0.9);
    running.child.kill('SIGTERM');
    await running.result;
    assert.equal(running.stderr(), '');
    await assertNothingLeft(name, exceptLogs(user.where));
  });
});

describe('SPICE', { skip: embedded.skip || unlessSpice() }, () => {
  it('is refused without the module of QEMU, before anything is started', async () => {
    const name = uniqueName();
    const through = ['unshare', '--mount', '--', 'sh', '-ec', `mount --bind /dev/null ${MODULE}; exec "$@"`, 'sh'];
    const words = ['-c', embedded.uri, ...ACCEL, '-n', name, '--graphics=spice', '--', 'true'];
    const failed = await runSandbox(words, { env, through });
    assertFailure(failed, /^virt-sandbox: config: .* has no SPICE server/, /Debian: qemu-system-modules-spice/);
    await assertNothingLeft(name, embedded.where);
  });

  it('listens at no port', async () => {
    const words = ['-c', embedded.uri, '--graphics=spice,listen=127.0.0.1:0', '--', 'true'];
    assertFailure(await runSandbox(words, { env }), /to listen at 127\.0\.0\.1:0 for viewers of VNC, and is "spice"/);
  });
});
