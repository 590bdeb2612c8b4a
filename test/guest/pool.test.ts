/** Sandboxes that wait: SandboxPool. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { type PoolOptions, type PoolStats, SandboxPool } from '../../src/index.js';
import { embedded, system } from '../helpers/connections.js';
import { withoutClock } from '../helpers/fallback.js';
import { assertNothingLeft, qemuOf, type WhereLeft } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { REPOSITORY, type RunOptions, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { poolOf } from '../helpers/taking.js';

const POOLING = `${REPOSITORY}build/test/helpers/pooling.js`;
const { uri: connect } = embedded;

/** What pooling.ts prints. */
interface Pooled {
  readonly before: PoolStats;
  readonly after: PoolStats;
  readonly first: string;
  readonly second: string;
  readonly kept: string;
  readonly names: readonly string[];
}

async function pooled(uri: string, options: RunOptions): Promise<Pooled> {
  const result = await runSandbox([POOLING, uri], { ...options, program: process.execPath, timeout: 240_000 });
  assert.equal(result.code, 0, result.stderr);
  return JSON.parse(result.out) as Pooled;
}

async function check(uri: string, options: RunOptions, where: WhereLeft): Promise<void> {
  const said = await pooled(uri, options);
  const { size, idle, starting, taken, privateBytesPerMember: bytes = 0 } = said.before;
  assert.deepEqual({ size, idle, starting, taken }, { size: 2, idle: 2, starting: 0, taken: 0 });
  assert.ok(bytes > 1e6 && bytes < 200e6, `${bytes} bytes`);
  assert.equal(said.after.taken, 3);
  const [variable, type, host, random] = said.first.split('\n');
  assert.deepEqual([variable, type, host], ['b', 'tmpfs', said.names[0]]);
  const [, , otherHost, otherRandom] = said.second.split('\n');
  assert.equal(otherHost, 'the-second');
  assert.notEqual(random, otherRandom);
  assert.equal(said.kept, 'kept\n');
  assert.equal(new Set(said.names).size, said.names.length);
  for (const name of said.names) await assertNothingLeft(name, where);
}

describe('a pool', () => {
  it('gives sandboxes over qemu:///embed', { skip: embedded.skip }, () => check(embedded.uri, {}, embedded.where));
  it('gives sandboxes over qemu:///system', { skip: system.skip }, () => check(system.uri, {}, system.where));

  describe('of an ordinary user', { skip: unlessOrdinaryUser() }, () => {
    let user: OrdinaryUser;
    before(async () => {
      user = await OrdinaryUser.create();
    });
    after(() => user.end());

    it('gives sandboxes over qemu:///session', () => check('qemu:///session', user.options, user.where));
  });
});

const pidOf = (name: string): number => qemuOf(name) ?? assert.fail(`no QEMU of ${name}`);

/**
 * How often QEMU's thread for the first processor has had a turn: proc_pid_status(5). A thread that has been told to
 * stop, or that wakes, ends its turn later, so the count is of a moment when it sleeps.
 */
async function turnsOf(pid: number): Promise<number> {
  const tasks = readdirSync(`/proc/${pid}/task`).map((id) => `/proc/${pid}/task/${id}`);
  const task = tasks.find((path) => readFileSync(`${path}/comm`, 'latin1').startsWith('CPU 0/'));
  assert.ok(task);
  let status = '';
  while (!/^State:\tS/m.test(status)) {
    await turn();
    status = readFileSync(`${task}/status`, 'latin1');
  }
  const counts = status.matchAll(/^(?:non)?voluntary_ctxt_switches:\t(\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

/**
 * Resolves when that thread has had no turn for three seconds. That of a machine that runs has some in each, for its
 * timers, whatever it does. One that was just told to stop may have a last one, on a busy host.
 */
async function standsStill(pid: number): Promise<void> {
  const counts = [await turnsOf(pid)];
  do {
    assert.ok(counts.length < 10, `it goes on: ${counts}`);
    await sleep(3000);
    counts.push(await turnsOf(pid));
  } while (counts.at(-1) !== counts.at(-2));
}

describe('those that wait', { skip: embedded.skip }, () => {
  it('take no processor time, and know what time it is when they are taken', async (t) => {
    const { pool, take } = await poolOf(t, { size: 1 });
    const pid = pidOf(pool.names[0] ?? '');
    await standsStill(pid);
    const small = /^THP_enabled:\t0$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    const sandbox = await take();
    // What they cost in memory where the machine is emulated: docs/decisions/0043-pools.md.
    assert.equal(small, sandbox.launched.acceleration === 'tcg');
    const earliest = Date.now();
    const { stdout } = await sandbox.run(['date', '+%s%3N']);
    assert.ok(Number(stdout) > earliest - 1000 && Number(stdout) < Date.now() + 1000, `${stdout} and ${earliest}`);
    assert.doesNotMatch((await sandbox.run('dmesg 2>&1 || true')).stdout, /stall|lockup|clocksource.*unstable/i);
  });

  it('20 are taken at once of a pool of two, and each is another', async (t) => {
    const { pool, take } = await poolOf(t, { size: 2 });
    const all = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const sandbox = await take();
        const { stdout } = await sandbox.run(`echo ${at}; cat /proc/sys/kernel/random/uuid`);
        await sandbox.stop();
        const [number, uuid] = stdout.split('\n');
        assert.equal(number, String(at));
        return `${uuid} ${sandbox.name}`;
      }),
    );
    assert.equal(new Set(all.flatMap((line) => line.split(' '))).size, 40);
    assert.equal((await pool.stats()).taken, 20);
  });

  it('one that died is replaced, and never given', async (t) => {
    const { pool, take } = await poolOf(t, { size: 2 });
    const [first = '', second = ''] = pool.names;
    process.kill(pidOf(first), 'SIGKILL');
    // The other one is taken at once, when the pool may not know yet.
    const sandbox = await take();
    assert.equal((await sandbox.run(['true'])).exitCode, 0);
    assert.equal(sandbox.name, second);
    await pool.filled();
    assert.equal(pool.names.includes(first), false);
  });

  it('one whose QEMU stands still is passed over', async (t) => {
    const { pool, take } = await poolOf(t, { size: 2 });
    const [first = '', second = ''] = pool.names;
    const pid = pidOf(first);
    process.kill(pid, 'SIGSTOP');
    const sandbox = await take();
    process.kill(pid, 'SIGCONT');
    assert.equal(sandbox.name, second);
    assert.equal((await sandbox.run(['true'])).exitCode, 0);
  });
});

describe('a take', { skip: embedded.skip }, () => {
  it('waits for one that is being started, until it is aborted', async (t) => {
    const { take } = await poolOf(t, { size: 1 });
    await take();
    const abort = new AbortController();
    const [aborted, served] = [take({ signal: abort.signal }), take()];
    abort.abort();
    await assert.rejects(aborted, { code: 'aborted' });
    assert.equal((await (await served).run('echo served')).stdout, 'served\n');
    await assert.rejects(take({ signal: abort.signal }), { code: 'aborted' });
  });

  it('may be aborted later, which stops the sandbox', async (t) => {
    const { take } = await poolOf(t, { size: 1 });
    const abort = new AbortController();
    const sandbox = await take({ signal: abort.signal });
    abort.abort();
    assert.deepEqual(await sandbox.exited, { code: 0, signal: undefined, exitCode: 0, timedOut: false });
  });

  it('rejects when the pool is closed', async (t) => {
    const { pool, take } = await poolOf(t, { size: 1 });
    const sandbox = await take();
    const waiting = [take(), take()];
    const rejections = Promise.all(waiting.map((one) => assert.rejects(one, { code: 'pool-closed' })));
    await pool.close();
    await rejections;
    await assert.rejects(take(), { code: 'pool-closed' });
    await assert.rejects(pool.filled(), { code: 'pool-closed' });
    // What was taken is not the pool's.
    assert.equal((await sandbox.run(['true'])).exitCode, 0);
  });
});

describe('a pool that is closed during a take', { skip: embedded.skip }, () => {
  it('leaves nothing of that sandbox', async (t) => {
    const { pool, take } = await poolOf(t, { size: 1 });
    const [name = ''] = pool.names;
    const rejection = assert.rejects(take(), { code: 'pool-closed' });
    while (pool.names.length > 0) await turn();
    await pool.close();
    assert.equal(qemuOf(name), undefined);
    await rejection;
  });
});

describe('a pool that fails', { skip: embedded.skip }, () => {
  it('says why, and works again when it can', async (t) => {
    const directory = scratchDirectory(t);
    const include = join(directory, 'include');
    writeFileSync(include, '');
    const mounts: PoolOptions['mounts'] = [
      { type: 'ram', target: '/srv', usage: 1 << 20, includes: [{ target: '/srv/include', source: include }] },
    ];
    const warnings: string[] = [];
    const { take } = await poolOf(t, { size: 1, mounts, onWarning: (warning) => warnings.push(warning) });
    rmSync(include);
    await assert.rejects(take(), { code: 'pool-refill-failed', message: /^3 sandboxes .*include/, remedy: /./ });
    assert.equal(withoutClock(warnings).length, 3);
    writeFileSync(include, '');
    assert.equal((await (await take()).run(['true'])).exitCode, 0);
  });

  it('is not created', async () => {
    const creating = (options: object) => SandboxPool.create({ connect, size: 1, ...options } as PoolOptions);
    await assert.rejects(creating({ size: 0 }), { code: 'config-value-invalid', line: /whole number from 1 to 64$/ });
    await assert.rejects(creating({ size: 65 }), { code: 'config-value-invalid' });
    await assert.rejects(creating({ name: 'one' }), { code: 'config-key-unknown' });
    await assert.rejects(creating({ disks: ['file:a=/etc/passwd'] }), { code: 'pool-with-writable-disk' });
    await assert.rejects(creating({ publish: [80] }), { code: 'pool-with-ports' });
    await assert.rejects(creating({ root: '/no/such' }), { stage: 'config' });
    await assert.rejects(creating({ signal: AbortSignal.timeout(50) }), { code: 'aborted' });
    await assert.rejects(creating({ command: ['true'] }), { code: 'config-key-unknown' });
  });
});

describe('a program with a pool', { skip: embedded.skip }, () => {
  it('that is killed leaves nothing', async () => {
    const running = startSandbox([POOLING, connect, 'hold'], { program: process.execPath });
    const [line] = await running.until(/^\{.*\}$/m);
    running.child.kill('SIGKILL');
    const { names } = JSON.parse(line) as { readonly names: readonly string[] };
    assert.ok(names.length >= 3);
    for (const name of names) await assertNothingLeft(name);
  });

  it('takes 20 and has as many descriptors as before', async (t) => {
    const { pool, take } = await poolOf(t, { size: 2 });
    const count = () => readdirSync('/proc/self/fd').length;
    const round = async () => {
      const sandbox = await take();
      assert.equal((await sandbox.run(['true'])).exitCode, 0);
      await sandbox.stop();
    };
    for (let warmUp = 0; warmUp < 5; warmUp += 1) await round();
    await pool.filled();
    const [descriptors, memory] = [count(), process.memoryUsage.rss()];
    for (let at = 0; at < 4; at += 1) await Promise.all(Array.from({ length: 5 }, round));
    await pool.filled();
    assert.ok(count() <= descriptors, `${count()} descriptors, and ${descriptors} before`);
    const more = process.memoryUsage.rss() - memory;
    assert.ok(more < 64 << 20, `${more} bytes more`);
  });
});
