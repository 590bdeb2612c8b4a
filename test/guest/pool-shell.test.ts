/** Pools of the shell: virt-sandbox-ctl pool, and virt-sandbox --pool. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ListedPool } from '../../src/cli/ctl/pool-list.js';
import { isSystemError } from '../../src/util/errors.js';
import { embedded } from '../helpers/connections.js';
import { ctl, endDetached, said, startWaiting } from '../helpers/ctl.js';
import { assertNothingLeft, qemuOf, uniqueName } from '../helpers/leftovers.js';
import { IDLE } from '../helpers/programs.js';
import { AtTerminal } from '../helpers/pty.js';
import { assertRun, PROGRAM, type Running, type RunResult, runSandbox, startSandbox } from '../helpers/run.js';

const POOLS = '/run/libvirt-sandbox-pools';
const ANOTHER_USER = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];

/** Starts a pool of machines that need not boot. */
async function create(name: string, size: number): Promise<void> {
  const args = ['pool', 'create', name, '--size', String(size), '--', '-c', embedded.uri, '-e', 'A=of the pool'];
  const { code, out, stderr } = await ctl(args);
  assert.deepEqual({ code, out, stderr }, { code: 0, out: `${name}\n`, stderr: '' });
}

async function inspect(name: string): Promise<ListedPool> {
  const [found] = JSON.parse(await said(['pool', 'inspect', name])) as ListedPool[];
  assert.ok(found);
  return found;
}

/** Waits until something is so; the test's own time limit ends it. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(20);
}

function killQemu(name: string): void {
  const pid = qemuOf(name);
  assert.ok(pid, name);
  process.kill(pid, 'SIGKILL');
}

describe('a pool of the shell', { skip: embedded.skip }, () => {
  const pool = uniqueName();
  const inPool = (...words: readonly string[]) => ['--pool', pool, ...words];
  const run = (...words: readonly string[]) => runSandbox(inPool(...words));
  const of = ({ code, out, stderr }: RunResult) => ({ code, out, stderr });

  /** Starts a command that says when it runs, in a sandbox of that name. */
  async function started(t: TestContext, name: string, trap = ''): Promise<Running> {
    const script = `${trap}echo ready; ${IDLE}`;
    const running = startSandbox(inPool('-n', name, '--', 'sh', '-c', script));
    t.after(() => running.child.kill('SIGKILL'));
    await running.until(/ready/);
    return running;
  }

  before(() => create(pool, 2));
  after(() => ctl(['pool', 'rm', '--force', '--ignore', pool]));

  it('has directories and files that are its user’s alone', () => {
    const mode = (path: string) => (statSync(join(POOLS, pool, path)).mode & 0o777).toString(8);
    assert.deepEqual(['', 'control', 'pool.json', 'log'].map(mode), ['700', '600', '600', '600']);
  });

  it('runs commands, each in a sandbox of its own that is gone at its end', async () => {
    const script = 'cat; echo $A $B; pwd; cat /proc/sys/kernel/hostname; echo err >&2; touch /tmp/seen; exit 3';
    const name = uniqueName();
    const options = ['-n', name, '-e', 'B=b', '--cwd', '/usr'];
    const first = await runSandbox(inPool(...options, '--', 'sh', '-c', script), { input: 'in\n' });
    assert.deepEqual(of(first), { code: 3, out: `in\nof the pool b\n/usr\n${name}\n`, stderr: 'err\n' });
    assert.ok(!existsSync(join('/run/libvirt-sandbox', name)));
    const second = await run('--switchto', 'nobody', '--', 'sh', '-c', 'id -un; ls /tmp/seen; kill -KILL $$');
    assert.deepEqual([second.code, second.out], [137, 'nobody\n']);
    await assertNothingLeft(name);
  });

  it('fails as a sandbox of its own does', async () => {
    const missing = await run('--', '/no/such');
    const usual = await runSandbox(['-c', embedded.uri, '--', '/no/such']);
    assert.deepEqual(of(missing), of(usual));
    assert.equal(missing.code, 127);
    const late = await run('--timeout', '300ms', '--', 'sleep', '1000');
    const over = 'virt-sandbox: the application was killed, because the time of --timeout was over\n';
    assert.deepEqual(of(late), { code: 124, out: '', stderr: over });
  });

  it('passes signals on, and stops what does not end by them', async (t) => {
    const name = uniqueName();
    const trap = await started(t, name, 'trap "echo got; exit 5" TERM; ');
    trap.child.kill('SIGTERM');
    const { code, out } = await trap.result;
    assert.deepEqual([code, out], [5, 'ready\ngot\n']);
    const deaf = await started(t, name, 'trap "" TERM; ');
    deaf.child.kill('SIGTERM');
    assert.equal((await deaf.result).code, 143);
    await assertNothingLeft(name);
  });

  it('gives a command the terminal', async (t) => {
    const terminal = new AtTerminal(inPool('--', 'sh', '-c', 'stty size; read x; echo "<$x>"'), {
      rows: 33,
      columns: 99,
    });
    t.after(() => terminal.close());
    await terminal.until(/33 99/);
    terminal.type('word\r');
    await terminal.until(/<word>/);
    assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
  });

  it('has those that were taken listed and talked to, and not those that wait', async (t) => {
    const name = uniqueName();
    const running = await started(t, name);
    await until(async () => (await inspect(pool)).idle === 2);
    const { waiting, taken } = await inspect(pool);
    assert.deepEqual(taken, [name]);
    const names = (await said(['ps', '-q'])).split('\n');
    assert.ok(names.includes(name));
    for (const other of waiting) assert.ok(qemuOf(other) && !names.includes(other), other);
    assert.equal(await said(['exec', name, 'sh', '-c', 'echo $A']), 'of the pool\n');
    const [record] = JSON.parse(await said(['inspect', name])) as [{ command: string[]; detached: boolean }];
    assert.deepEqual([record.command[0], record.detached], ['sh', false]);
    assert.match(await said(['pool', 'ls', '--noheading']), new RegExp(`^${pool} +2 +2 +0 +1 +[0-9.]+MB$`, 'm'));
    const refused = await ctl(['pool', 'rm', pool]);
    assert.deepEqual([refused.code, refused.out], [125, '']);
    assert.match(refused.stderr, new RegExp(`stays, because sandboxes of it run: ${name}; .*--force`));
    const waits = await startWaiting(name);
    assert.equal(await said(['stop', name]), `${name}\n`);
    assertRun(await waits.result, 0, '143\n');
    assert.equal((await running.result).code, 143);
    await assertNothingLeft(name);
  });

  it('leaves nothing of a command whose caller is killed', async (t) => {
    const name = uniqueName();
    const running = await started(t, name);
    running.child.kill('SIGKILL');
    await until(async () => (await inspect(pool)).taken.length === 0);
    await assertNothingLeft(name);
  });

  it('tells a command that its sandbox is gone as one of its own does', async (t) => {
    const name = uniqueName();
    await until(async () => (await inspect(pool)).idle === 2);
    const { waiting } = await inspect(pool);
    const running = await started(t, name);
    const left = (await inspect(pool)).waiting;
    const [machine = ''] = waiting.filter((one) => !left.includes(one));
    killQemu(machine);
    const plain = uniqueName();
    const usual = startSandbox(['-c', embedded.uri, '-n', plain, '--', 'sh', '-c', 'echo ready; exec sleep 1000']);
    t.after(() => usual.child.kill('SIGKILL'));
    await usual.until(/ready/);
    killQemu(plain);
    assert.deepEqual(of(await running.result), of(await usual.result));
    const { code, stderr } = await running.result;
    assert.equal(code, 125);
    assert.match(stderr, /^virt-sandbox: application: the guest ended /);
    await assertNothingLeft(machine);
    await assertNothingLeft(name);
  });

  it('has a sandbox that stays, with a log, a status and a port', async (t) => {
    const name = uniqueName();
    const script = 'cat; echo out; echo err >&2; until [ -e /tmp/go ]; do sleep 0.1; done; echo last; exit 7';
    const detached = await run('--detach', '-n', name, '--publish', '80', '--', 'sh', '-c', script);
    t.after(() => endDetached(name));
    assert.deepEqual([detached.code, detached.out], [0, `${name}\n`]);
    const port = Number(/^virt-sandbox: port 80 is at 127\.0\.0\.1:(\d+)\n$/.exec(detached.stderr)?.[1]);
    await new Promise<void>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve();
      });
      // Nothing listens inside, so who is let in is reset, perhaps before this process knows that it was let in.
      socket.once('error', (error) => (isSystemError(error, 'ECONNRESET') ? resolve() : reject(error)));
    });
    const logs = startSandbox(['logs', '-f', name], { program: `${PROGRAM}-ctl` });
    await logs.until(/out\n/);
    const waiting = await startWaiting(name);
    await ctl(['exec', name, 'touch', '/tmp/go']);
    assertRun(await waiting.result, 0, '7\n');
    const { out, stderr } = await logs.result;
    assert.deepEqual([out, stderr], ['out\nlast\n', 'err\n']);
    await assertNothingLeft(name);
  });

  it('refuses what it cannot do', async () => {
    const cases: readonly (readonly [Promise<RunResult>, RegExp])[] = [
      [run('-m', 'ram:/x=1M', '--', 'true'), /--pool cannot go with --mount: .*pool create decide it/],
      [run(), /--pool lacks the COMMAND/],
      [runSandbox(['--pool', 'no such', '--', 'true']), /no pool called "no such"; .*virt-sandbox-ctl pool create/],
      [
        run('-n', pool.repeat(20), '--', 'true'),
        /^virt-sandbox: config: the name "[^"]+" is too long; choose a name of 1 to/,
      ],
      [
        run('-n', '..', '--', 'true'),
        /^virt-sandbox: config: "\.\." cannot be the name of a sandbox; choose a name of/,
      ],
      [ctl(['pool', 'create', pool]), /there is a pool called .* already/],
      [ctl(['pool', 'create', 'a/b']), /a pool cannot be called "a\/b"/],
      [ctl(['pool', 'create', 'failing', '--', '-c', embedded.uri, '--kernpath', '/no/such']), /no\/such/],
    ];
    for (const [running, message] of cases) {
      const { code, out, stderr } = await running;
      assert.deepEqual([code, out], [125, ''], stderr);
      assert.match(stderr, message);
      assert.equal(stderr.split('\n').length, 2, stderr);
    }
    assert.ok(!existsSync(join(POOLS, 'failing')));
  });

  it("is not another user's", async () => {
    const through = ANOTHER_USER;
    const env = { HOME: '/var/tmp', XDG_CACHE_HOME: undefined };
    const taken = await runSandbox(inPool('--', 'true'), { through, env });
    assert.equal(taken.code, 125);
    assert.match(taken.stderr, /the pool .* is another user's; create one of your own/);
    const code = `require('net').connect('${join(POOLS, pool, 'control')}').on('error', ({ code }) => console.log(code))`;
    assert.equal((await runSandbox(['-e', code], { through, env, program: process.execPath })).out, 'EACCES\n');
    assert.equal((await inspect(pool)).taken.length, 0);
  });

  it('ends with those that were taken when it is forced', async (t) => {
    const name = uniqueName();
    const { waiting } = await inspect(pool);
    const running = await started(t, name);
    assert.equal(await said(['pool', 'rm', '-f', pool]), `${pool}\n`);
    assert.ok(!existsSync(join(POOLS, pool)));
    assert.equal((await running.result).code, 125);
    for (const one of [name, pool, ...waiting]) await assertNothingLeft(one);
  });
});

describe('the holder of a pool of the shell', { skip: embedded.skip }, () => {
  const name = uniqueName();
  after(() => ctl(['pool', 'rm', '--force', '--ignore', name]));

  it('leaves nothing when it is killed, and its name is free', async (t) => {
    await create(name, 1);
    const { pid, waiting } = await inspect(name);
    const taken = uniqueName();
    const running = startSandbox(['--pool', name, '-n', taken, '--', 'sh', '-c', 'echo ready; exec sleep 1000']);
    t.after(() => running.child.kill('SIGKILL'));
    await running.until(/ready/);
    await until(async () => (await inspect(name)).idle === 1);
    const machines = [...waiting, ...(await inspect(name)).waiting];
    assert.equal(machines.length, 2);
    process.kill(pid, 'SIGKILL');
    const { code, stderr } = await running.result;
    assert.equal(code, 125);
    assert.match(stderr, /^virt-sandbox: application: .*the sandbox ended/);
    for (const machine of machines) await assertNothingLeft(machine);
    assert.match((await runSandbox(['--pool', name, '--', 'true'])).stderr, /there is no pool called/);
    await create(name, 1);
    assert.equal((await runSandbox(['--pool', name, '-n', taken, '--', 'true'])).code, 0);
    await assertNothingLeft(taken);
  });

  it('ends by SIGTERM, with all that it holds', async () => {
    const { pid, waiting } = await inspect(name);
    assert.match(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /--hold-pool/);
    process.kill(pid, 'SIGTERM');
    await until(() => !existsSync(`/proc/${pid}`));
    for (const one of [name, ...waiting]) await assertNothingLeft(one, { state: '/run' });
  });
});
