/** Boot images in a registry: pushed by one store, pulled by another one, and booted. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { totalmem } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { digestSparse } from '../../src/image/snapshot/digest.js';
import type { SnapshotRecord } from '../../src/image/snapshot/record.js';
import { ACCEL } from '../helpers/acceleration.js';
import { bakeJson, runBake } from '../helpers/bake.js';
import { embedded } from '../helpers/connections.js';
import { emptyStore, halfMadeIn, imagesIn, type Pulled, type Pushed } from '../helpers/fleet.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { type DebianRegistry, startDebianRegistry, unlessDebianRegistry } from '../helpers/oci/debian-registry.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertRun, runSandbox } from '../helpers/run.js';
import {
  type Baked,
  bakeSnapshot,
  copySnapshot,
  privateStore,
  recordOf,
  resealSnapshot,
} from '../helpers/snapshots.js';

describe('a boot image in a registry', { skip: embedded.skip || unlessDebianRegistry() }, () => {
  const from = privateStore();
  const cache = from.env.XDG_CACHE_HOME;
  const endings: (() => unknown)[] = [];
  const context = { after: (end?: unknown) => void endings.unshift(end as () => unknown) };
  let baked: Baked;
  let registry: DebianRegistry;
  let pushed: Pushed;
  before(async () => {
    baked = await copySnapshot(['-c', embedded.uri], from.env);
    registry = await startDebianRegistry(context);
    pushed = await bakeJson<Pushed>(cache, ['push', basename(baked.image), `${registry.host}/boot/web:1`]);
  });
  after(async () => {
    for (const end of endings) await end();
    from.remove();
  });
  it('is sent once', async () => {
    assert.equal(pushed.sent, pushed.size + 2);
    assert.equal(pushed.id, basename(baked.image));
    assert.deepEqual(pushed.snapshots, [baked.warm]);
    const again = await bakeJson<Pushed>(cache, ['push', pushed.id, `${registry.host}/boot/web:2`]);
    assert.deepEqual(again, { ...pushed, reference: `${registry.host}/boot/web:2`, sent: 0 });
    assert.deepEqual(halfMadeIn(cache), []);
  });

  it('is the same in another store, with holes, and starts warm', async (t) => {
    const other = emptyStore(t);
    const reference = `${registry.host}/boot/web:1`;
    const pulled = await bakeJson<Pulled>(other, ['pull', reference, '-n', 'web']);
    const [snapshot] = pulled.snapshots;
    assert.ok(snapshot !== undefined);
    assert.deepEqual(
      { ...pulled, directory: '', sets: '', kernelVersion: '', snapshots: pulled.snapshots.map(({ fresh }) => fresh) },
      {
        reference,
        name: 'web',
        digest: pushed.digest,
        id: pushed.id,
        directory: '',
        fresh: true,
        received: pushed.size,
        snapshots: [true],
        left: [],
        kernelVersion: '',
        sets: '',
      },
    );
    assertRun(await runBake(other, ['verify', '--all']), 0, (await runBake(other, ['verify', '--all'])).out);
    for (const name of ['memory', 'state']) {
      const here: string = join(snapshot.directory, name);
      const there: string = join(baked.warm, name);
      assert.equal(await digestSparse(here), await digestSparse(there));
      const { blocks, mode, uid } = statSync(here);
      const original = statSync(there);
      assert.ok(blocks <= original.blocks * 1.05, `${blocks} ${original.blocks}`);
      assert.deepEqual([mode, uid], [original.mode, original.uid], name);
    }
    assert.deepEqual(halfMadeIn(other), []);

    const name = uniqueName();
    const words = ['-c', embedded.uri, ...ACCEL, '-n', name, '--image', 'web', '--boot', 'warm', '--', 'uname', '-r'];
    assertRun(await runSandbox(words, { env: { XDG_CACHE_HOME: other } }), 0, `${pulled.kernelVersion}\n`);
    await assertNothingLeft(name);

    // What is there is not fetched again: the manifest and the record come alone.
    const again = await bakeJson<Pulled>(other, ['pull', reference]);
    assert.deepEqual([again.fresh, again.snapshots], [false, [{ ...snapshot, fresh: false }]]);
    assert.ok(again.received < 20_000, String(again.received));
  });

  it('takes the place of no snapshot that serves as well, also if two pull at once', async (t) => {
    const store = privateStore();
    t.after(store.remove);
    const own = await copySnapshot(['-c', embedded.uri], store.env);
    const pulled = await bakeJson<Pulled>(store.env.XDG_CACHE_HOME, ['pull', `${registry.host}/boot/web:1`]);
    assert.deepEqual(pulled.snapshots, [{ directory: own.warm, fresh: false }]);

    const other = emptyStore(t);
    const both = await Promise.all(
      [1, 2].map(() => bakeJson<Pulled>(other, ['pull', `${registry.host}/boot/web:1`, '-n', 'web'])),
    );
    const directories = both.flatMap(({ snapshots }) => snapshots.map(({ directory }) => directory));
    assert.equal(directories.length, 2);
    assert.ok(directories.some((directory) => existsSync(directory)));
    assert.deepEqual([imagesIn(other), halfMadeIn(other)], [[pushed.id], []]);
    assert.equal((await runBake(other, ['verify', '--all'])).code, 0);
  });

  it('is the same artifact from another store, and from a directory', async (t) => {
    const other = emptyStore(t);
    const { directory } = await bakeJson<Pulled>(other, ['pull', `${registry.host}/boot/web:1`, '-n', 'web']);
    const again = await bakeJson<Pushed>(other, ['push', 'web', `${registry.host}/boot/again:1`]);
    assert.equal(again.digest, pushed.digest);
    const elsewhere = emptyStore(t);
    const ofDirectory = await bakeJson<Pushed>(elsewhere, ['push', directory, `${registry.host}/boot/again:2`]);
    assert.equal(ofDirectory.digest, pushed.digest);
    // Its snapshots are copied nowhere.
    const files = readdirSync(elsewhere, { recursive: true, encoding: 'utf8' });
    assert.deepEqual(
      files.filter((path) => path.endsWith('/memory')),
      [],
    );
  });

  it('is pulled by its digest, and without its snapshots', async (t) => {
    const other = emptyStore(t);
    const pulled = await bakeJson<Pulled>(other, ['pull', `${registry.host}/boot/web@${pushed.digest}`, '--cold']);
    assert.deepEqual([pulled.id, pulled.snapshots, pulled.left], [pushed.id, [], []]);
    assert.deepEqual(imagesIn(other), [pushed.id]);
    const { out, code } = await runBake(other, ['pull', `docker://${registry.host}/boot/web:1`]);
    assert.equal(code, 0);
    assert.match(out, /^new: no$/m);
    assert.match(out, /^warm: \/\S+\/warm\/\S+$/m);
  });

  it('is pushed without its snapshots', async (t) => {
    const cold = await bakeJson<Pushed>(cache, ['push', pushed.id, `${registry.host}/boot/cold:1`, '--cold']);
    assert.deepEqual(cold.snapshots, []);
    const other = emptyStore(t);
    const pulled = await bakeJson<Pulled>(other, ['pull', `${registry.host}/boot/cold:1`]);
    assert.deepEqual([pulled.id, pulled.snapshots, pulled.left], [pushed.id, [], []]);
  });

  it('is pulled by another user, with a snapshot for what serves that user', {
    skip: unlessOrdinaryUser(),
  }, async (t) => {
    const store = privateStore();
    t.after(store.remove);
    const { image } = await bakeSnapshot(['-c', embedded.uri], { env: store.env }, ['--root-fs', '9p']);
    const reference = `${registry.host}/boot/user:1`;
    const sent = await bakeJson<Pushed>(store.env.XDG_CACHE_HOME, ['push', basename(image), reference]);
    const user = await OrdinaryUser.create({ emptyStore: true });
    try {
      const program = `${user.options.program}-bake`;
      const pulling = await runSandbox(['pull', reference, '-n', 'user', '--json'], { ...user.options, program });
      assert.equal(pulling.stderr, '');
      const pulled = JSON.parse(pulling.out) as Pulled;
      assert.deepEqual([pulled.id, pulled.left, pulled.snapshots.length], [sent.id, [], 1]);
      const name = uniqueName();
      const words = ['-c', 'qemu:///session', ...ACCEL, '-n', name, '--root-fs', '9p', '--image', 'user'];
      const result = await runSandbox([...words, '--boot', 'warm', '--', 'id', '-u'], user.options);
      assertRun(result, 0, `${user.uid}\n`);
      await assertNothingLeft(name, user.where);
    } finally {
      await user.end();
    }
  });

  it('leaves the snapshots of other hosts, says why, and boots cold', async (t) => {
    const store = privateStore();
    t.after(store.remove);
    const { image, warm } = await copySnapshot(['-c', embedded.uri], store.env);
    const record = recordOf({ warm });
    const { host, needs } = record;
    const other = 'f'.repeat(32);
    const cases: readonly (readonly [Partial<SnapshotRecord>, RegExp])[] = [
      [{ host: { ...host, QEMU: other } }, /^it is stale: QEMU changed$/],
      [{ host: { ...host, libvirt: other } }, /^it is stale: libvirt changed$/],
      [
        { memory: 2 ** 44 },
        new RegExp(`^it has 16777216 MiB of memory, and this host ${Math.floor(totalmem() / 2 ** 20)}`),
      ],
      [{ image: other }, /^$/],
      [{ sets: ['console'] }, /^its record is of another boot image$/],
      [{ profile: 'elsewhere' }, /^there is no profile 'elsewhere' on this host$/],
      [{ host: {}, needs: {} }, /^its record does not have QEMU$/],
      [{ ready: {} }, /^its record is damaged, or of another version of this program$/],
      [{ kernelArguments: 'quiet', machine: other }, /^it is stale: the kernel arguments and the machine changed$/],
    ];
    for (const [number, [facts]] of cases.entries()) {
      const copy = join(image, 'warm', `${String(number).padStart(16, '0')}-00000000`);
      execFileSync('cp', ['-a', warm, copy]);
      // The fact decides, and not what another host would need for it.
      await resealSnapshot(copy, { needs: facts.host === undefined ? needs : undefined, ...facts });
    }
    execFileSync('rm', ['-r', warm]);
    const reference = `${registry.host}/boot/left:1`;
    const sent = await bakeJson<Pushed>(store.env.XDG_CACHE_HOME, ['push', basename(image), reference]);
    // That of another image is not of this one.
    assert.equal(sent.snapshots.length, cases.length - 1);

    const to = emptyStore(t);
    const pulled = await bakeJson<Pulled>(to, ['pull', reference, '-n', 'left']);
    assert.deepEqual(pulled.snapshots, []);
    const reasons = pulled.left.map(({ reason }) => reason);
    const expected = cases.map(([, reason]) => reason).filter((reason) => reason.source !== '^$');
    assert.equal(reasons.length, expected.length);
    for (const [at, reason] of expected.entries()) assert.match(reasons[at] ?? '', reason);
    // Their memory has not come.
    assert.ok(pulled.received < sent.size / 1.5, `${pulled.received} of ${sent.size}`);
    const told = await runBake(to, ['pull', reference]);
    assert.match(told.out, /^left: warm\/0, because it is stale: QEMU changed$/m);
    const dry = await runSandbox(['-c', embedded.uri, ...ACCEL, '--image', 'left', '-v', '--dry-run', '--', 'true'], {
      env: { XDG_CACHE_HOME: to },
    });
    assert.match(dry.stderr, /^virt-sandbox: boot: cold, because there is no snapshot/m);
  });
});
