/** The holder of a pool, and who asks it. The pool here has no machines. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ConnectedPool } from '../../../src/control/pool/connect.js';
import { PoolServer, type ServedPool } from '../../../src/control/pool/pool-server.js';
import type { PoolRecord } from '../../../src/control/pool/record.js';
import type { TakeRequest } from '../../../src/control/pool/requests.js';
import { Channel } from '../../../src/protocol/channel.js';
import { FieldWriter } from '../../../src/protocol/fields.js';
import { Proc, Status } from '../../../src/protocol/wire.js';
import type { Sandbox } from '../../../src/sandbox/sandbox.js';
import { connectTo } from '../../../src/sandbox/state/connect-to.js';
import { SandboxError } from '../../../src/util/errors.js';
import { deferred } from '../../../src/util/promises.js';
import { scratchDirectory } from '../../helpers/scratch.js';
import { record as aRecord } from './a-record.js';
import { RawHost, StandInGuest, until } from './stand-ins.js';

const RECORD: PoolRecord = {
  version: 1,
  name: 'jobs',
  pid: process.pid,
  created: '2026-11-28T10:00:00.000Z',
  size: 2,
  options: ['-e', 'A=b'],
};

const TAKE: Omit<TakeRequest, 'ask'> = { command: ['true'], detached: false, publish: [] };

/** Nobody gets a sandbox of it. */
class StandInPool implements ServedPool {
  readonly names = ['waits'];
  readonly taking = deferred<AbortSignal>();
  readonly answer = deferred<Sandbox>();
  takes = 0;
  isClosed = false;

  async take({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<Sandbox> {
    assert.ok(signal);
    this.takes += 1;
    signal.addEventListener('abort', () => this.answer.reject(new Error('aborted')), { once: true });
    this.taking.resolve(signal);
    return this.answer.promise;
  }

  async stats() {
    return { size: 2, idle: 1, starting: 1, taken: 0, privateBytesPerMember: 5 };
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.answer.reject(new SandboxError({ stage: 'boot', code: 'pool-closed', message: 'closed', remedy: 'none' }));
  }
}

/** What a pool gives away. Its ports are open when the test says so. */
class StandInSandbox {
  readonly name = 'one-of-it';
  readonly isPublishing = deferred<void>();
  readonly published = deferred<{ host: string }>();
  readonly #exited = deferred<never>();
  readonly exited = this.#exited.promise;
  readonly ending = this.exited.catch(() => {});
  readonly launched: object;
  isStopped = false;

  constructor(t: TestContext) {
    const config = { memory: 1, vcpus: 1, command: [], root: '/', mounts: [] };
    const { name } = this;
    const { guest, platform } = aRecord;
    const state = { path: scratchDirectory(t) };
    const { channel } = new StandInGuest();
    this.launched = { config, name, platform, connection: { kind: 'embedded' }, guest, state, channel };
  }

  async publish(): Promise<{ host: string }> {
    this.isPublishing.resolve();
    return this.published.promise;
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.#exited.reject(
      new SandboxError({ stage: 'application', code: 'stopped', message: 'stopped', remedy: 'none' }),
    );
  }
}

async function served(t: TestContext): Promise<{ pool: StandInPool; server: PoolServer; directory: string }> {
  const pool = new StandInPool();
  // Nobody may ask for it.
  pool.answer.promise.catch(() => {});
  const directory = scratchDirectory(t);
  const server = await PoolServer.start(pool, directory, RECORD);
  t.after(() => server.close());
  return { pool, server, directory };
}

async function connected(t: TestContext, directory: string): Promise<ConnectedPool> {
  const socket = await connectTo(join(directory, 'control'), undefined);
  t.after(() => socket.destroy());
  const { channel } = await Channel.open(socket);
  return new ConnectedPool(channel, socket, RECORD);
}

describe('the holder of a pool', () => {
  it('tells how it is', async (t) => {
    const { directory } = await served(t);
    const pool = await connected(t, directory);
    assert.deepEqual(await pool.state(), {
      size: 2,
      idle: 1,
      starting: 1,
      taken: [],
      takenInAll: 0,
      waiting: ['waits'],
      privateBytesPerMember: 5,
    });
  });

  it('gives up the take of a host that hangs up', async (t) => {
    const { pool, directory } = await served(t);
    const host = await connected(t, directory);
    const taking = host.take(TAKE);
    const lease = await pool.taking.promise;
    assert.ok(!lease.aborted);
    await host.close();
    await assert.rejects(taking, { code: 'pool-ended' });
    if (!lease.aborted) await new Promise((resolve) => lease.addEventListener('abort', resolve));
  });

  it('leaves what a host has asked to keep', async (t) => {
    const { pool, server, directory } = await served(t);
    const host = await connected(t, directory);
    void host.take(TAKE).catch(() => {});
    const lease = await pool.taking.promise;
    await host.keep();
    await host.close();
    // By now it has noticed.
    await (await connected(t, directory)).state();
    assert.ok(!lease.aborted);
    await server.remove();
  });

  it('passes on why nothing is taken', async (t) => {
    const { pool, directory } = await served(t);
    const host = await connected(t, directory);
    const taking = host.take(TAKE);
    await pool.taking.promise;
    const details = { stage: 'boot', code: 'pool-refill-failed', message: 'it failed', remedy: 'look' } as const;
    pool.answer.reject(new SandboxError({ ...details, exitCode: 125, consoleTail: ['a line'] }));
    await assert.rejects(taking, { ...details, consoleTail: ['a line'] });
  });

  it('takes nothing by a name that is no sandbox’s', async (t) => {
    const { directory } = await served(t);
    const host = await connected(t, directory);
    for (const name of ['.', '..', '../..', 'a/b', '.claim-x', 'a\nb'])
      await assert.rejects(host.take({ ...TAKE, name }), { code: 'name-invalid' }, name);
    await assert.rejects(host.take({ ...TAKE, name: 'x'.repeat(201) }), { code: 'name-too-long' });
    assert.deepEqual((await host.state()).starting, 1);
  });

  it('ends when it is told to, and those who wait hear of it', async (t) => {
    const { pool, server, directory } = await served(t);
    const waiting = (await connected(t, directory)).take(TAKE);
    await pool.taking.promise;
    const removing = (await connected(t, directory)).remove(false);
    await server.removed;
    assert.ok(pool.isClosed);
    await assert.rejects(waiting, { code: 'pool-ended' });
    await assert.rejects((await connected(t, directory)).take(TAKE), { code: 'pool-ended' });
    await server.close();
    await removing;
  });

  it('stays while it gives a sandbox away', async (t) => {
    const { pool, server, directory } = await served(t);
    const sandbox = new StandInSandbox(t);
    const publish = [{ host: '127.0.0.1', hostPort: 0, guestPort: 80 }];
    const taking = (await connected(t, directory)).take({ ...TAKE, publish });
    pool.answer.resolve(sandbox as unknown as Sandbox);
    await sandbox.isPublishing.promise;
    const other = await connected(t, directory);
    await assert.rejects(other.remove(false), { code: 'pool-in-use', message: /sandboxes of it run: one-of-it$/ });
    assert.deepEqual((await other.state()).taken, ['one-of-it']);
    assert.ok(!pool.isClosed);
    sandbox.published.resolve({ host: '127.0.0.1:8000' });
    const { uuid, ...taken } = await taking;
    assert.deepEqual(taken, { name: 'one-of-it', published: ['127.0.0.1:8000'] });
    assert.match(uuid, /^[0-9a-f-]{36}$/);
    await assert.rejects(other.remove(false), { code: 'pool-in-use' });
    await server.remove();
    assert.ok(sandbox.isStopped);
  });

  it('gives nothing away that it got when it was to end', async (t) => {
    const { pool, server, directory } = await served(t);
    const sandbox = new StandInSandbox(t);
    const taking = (await connected(t, directory)).take(TAKE);
    await pool.taking.promise;
    pool.answer.resolve(sandbox as unknown as Sandbox);
    void server.remove();
    await assert.rejects(taking, { code: 'pool-ended', message: 'the pool "jobs" has ended' });
    assert.ok(sandbox.isStopped);
  });

  it('has so many taken at once, and others can still ask for its state and its end', async (t) => {
    const { pool, server, directory } = await served(t);
    const takers = await Promise.all(Array.from({ length: 15 }, () => connected(t, directory)));
    const takes = takers.flatMap((host) => Array.from({ length: 16 }, () => host.take(TAKE)));
    for (const take of takes) take.catch(() => {});
    const late = await connected(t, directory);
    await until(() => pool.takes === 240);
    await assert.rejects(late.take(TAKE), { code: 'pool-full', message: /away: 240 run or are waited for$/ });
    assert.equal((await late.state()).size, 2);
    late.remove(true).catch(() => {});
    await server.removed;
  });

  it('gives nothing away while so many are connected', async (t) => {
    const { pool, directory } = await served(t);
    const hosts = await Promise.all(Array.from({ length: 240 }, () => connected(t, directory)));
    const waiting = hosts[0]?.take(TAKE);
    await pool.taking.promise;
    const late = await connected(t, directory);
    await assert.rejects(late.take(TAKE), { code: 'pool-full', message: /away: 241 are connected to it$/ });
    assert.equal((await late.state()).size, 2);
    pool.answer.reject(new SandboxError({ stage: 'boot', code: 'failed', message: 'failed', remedy: 'none' }));
    await assert.rejects(waiting ?? Promise.resolve(), { code: 'failed' });
  });

  it('has no guest, and does nothing else', async (t) => {
    const { directory } = await served(t);
    const path = join(directory, 'control');
    const host = await RawHost.connect(t, { path });
    for (const [proc, payload] of [
      [Proc.SPAWN, Buffer.alloc(64)],
      [Proc.READ_FILE, Buffer.alloc(64)],
      [Proc.SIGNAL, Buffer.from([0, 0, 0, 1, 0, 0, 0, 9])],
    ] as const) {
      assert.equal((await host.call(proc, payload)).status, Status.ERROR);
    }
    for (const request of ['{"ask":"stop","timeoutMs":0}', '{"ask":"wait"}', '{"ask":"application"}', '{}', 'x']) {
      const { status } = await host.call(Proc.CONTROL, new FieldWriter().str(request).finish());
      assert.equal(status, Status.ERROR, request);
    }
  });
});
