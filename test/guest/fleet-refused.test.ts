/** Boot images that are not pushed or pulled: what is wrong is said, and nothing half-made is kept. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, cpSync, mkdirSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { bakeJson, runBake } from '../helpers/bake.js';
import { copyFacts } from '../helpers/cache.js';
import { embedded } from '../helpers/connections.js';
import {
  assertBakeFailure,
  emptyStore,
  halfMadeIn,
  hasTag,
  imagesIn,
  type Pulled,
  type Pushed,
  storeOf,
  unusedReference,
} from '../helpers/fleet.js';
import { FullDisk } from '../helpers/full-disk.js';
import { type DebianRegistry, startDebianRegistry, unlessDebianRegistry } from '../helpers/oci/debian-registry.js';
import { type RegistryProxy, startRegistryProxy } from '../helpers/oci/registry-proxy.js';
import { PROGRAM, startSandbox } from '../helpers/run.js';
import { type Baked, copySnapshot, privateStore } from '../helpers/snapshots.js';

const KIB = 1 << 10;
const MIB = 1 << 20;

describe('a push or a pull of a boot image', { skip: embedded.skip || unlessDebianRegistry() }, () => {
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

  /** A store with a copy of the image. */
  function copiedStore(t: TestContext): { cache: string; image: string; warm: string } {
    const directory = emptyStore(t);
    mkdirSync(storeOf(directory), { recursive: true });
    execFileSync('cp', ['-a', baked.image, storeOf(directory)]);
    const image = join(storeOf(directory), pushed.id);
    return { cache: directory, image, warm: join(image, 'warm', basename(baked.warm)) };
  }

  it('says which file of the image is damaged', async (t) => {
    const [store, { reference, isThere }] = [copiedStore(t), unusedReference(t, registry)];
    const initrd = join(store.image, 'initrd');
    const { size } = statSync(initrd);
    appendFileSync(initrd, 'x');
    const larger = await runBake(store.cache, ['push', pushed.id, reference]);
    assertBakeFailure(larger, /image: \S+\/initrd has \d+ bytes and not \d+; bake it again/);
    truncateSync(initrd, size - 1);
    appendFileSync(initrd, 'x');
    const result = await runBake(store.cache, ['push', pushed.id, reference]);
    assertBakeFailure(result, /image: a file of the image in \S+ is not what its manifest says; bake .* --rebuild/);
    assert.ok(!(await isThere()));
    assert.deepEqual(halfMadeIn(store.cache), []);
  });

  it('says which snapshot is damaged, and pushes the image without', async (t) => {
    const [store, { reference, isThere }] = [copiedStore(t), unusedReference(t, registry)];
    appendFileSync(join(store.warm, 'state'), 'x');
    const result = await runBake(store.cache, ['push', pushed.id, reference]);
    assertBakeFailure(result, /the snapshot \S+ is not what it was when it was saved; remove it .*--stale.* --cold/);
    assert.ok(!(await isThere()));
    assert.equal((await runBake(store.cache, ['push', pushed.id, reference, '--cold'])).code, 0);
    assert.ok(await isThere());
    // As the remedy has it.
    assert.equal((await runBake(store.cache, ['prune', '--stale'])).code, 0);
    assert.equal((await runBake(store.cache, ['push', pushed.id, reference])).code, 0);
  });

  it('takes no snapshot that others may change', async (t) => {
    const [store, { reference, isThere }] = [copiedStore(t), unusedReference(t, registry)];
    chmodSync(join(store.warm, 'memory'), 0o666);
    const result = await runBake(store.cache, ['push', pushed.id, reference]);
    assertBakeFailure(result, /others than root and this user may change the snapshot \S+; bake it again .* --cold/);
    assert.ok(!(await isThere()));
  });

  it('takes at most 16 snapshots', async (t) => {
    const [store, { reference, isThere }] = [copiedStore(t), unusedReference(t, registry)];
    for (let number = 0; number < 16; number += 1) {
      const copy = join(store.image, 'warm', `${number.toString(16).padStart(16, '0')}-00000000`);
      mkdirSync(copy);
      cpSync(join(store.warm, 'warm.json'), join(copy, 'warm.json'));
    }
    const result = await runBake(store.cache, ['push', pushed.id, reference]);
    assertBakeFailure(result, /the image has 17 snapshots, and at most 16 are pushed; remove some/);
    assert.ok(!(await isThere()));
  });

  it('names what is not there: image, registry, reference, word', async (t) => {
    const store = emptyStore(t);
    const { reference } = unusedReference(t, registry);
    assertBakeFailure(await runBake(cache, ['push', 'none', reference]), /there is no image none in /);
    assertBakeFailure(await runBake(store, ['pull', reference]), /is not there: .*; see that name and tag are right/);
    assertBakeFailure(await runBake(store, ['pull', '127.0.0.1:1/a/b']), /127\.0\.0\.1:1 cannot be reached/);
    assertBakeFailure(await runBake(store, ['pull', 'A:B:C']), /A:B:C/);
    assertBakeFailure(await runBake(store, ['pull', reference, '-n', '../x']), /name/);
    assertBakeFailure(await runBake(cache, ['push', pushed.id, `${reference}@${pushed.digest}`]), /name a tag/);
    assertBakeFailure(await runBake(cache, ['push', pushed.id, reference, '--sign-key', 'x']), /goes with --sign/);
    assertBakeFailure(await runBake(cache, ['push', pushed.id, reference, '--tls-verify=x']), /neither true nor false/);
    assert.deepEqual(imagesIn(store), []);
  });

  describe('on a full disk', () => {
    for (const left of [0, 64 * KIB, 20 * MIB, 45 * MIB, 60 * MIB, 80 * MIB])
      it(`with ${left / KIB} KiB left keeps what is whole, and goes on`, async (t) => {
        const disk = new FullDisk(t, 'size=256M');
        copyFacts(join(disk.path, 'virt-sandbox'));
        const reference = `${registry.host}/boot/web:1`;
        disk.fill(left);
        assertBakeFailure(await runBake(disk.path, ['pull', reference]), /no space is left in \S+.*; free /);
        // An image of 41 MB fits or does not, a snapshot of 60 MB does not.
        if (imagesIn(disk.path).length > 0) {
          assert.deepEqual(halfMadeIn(disk.path), []);
          assert.equal((await runBake(disk.path, ['verify', '--all'])).code, 0);
          assert.deepEqual(
            readdirSync(join(storeOf(disk.path), pushed.id)).includes('warm') ? snapshots(disk.path) : [],
            [],
          );
        }
        disk.makeRoom();
        const pulled = await bakeJson<Pulled>(disk.path, ['pull', reference]);
        assert.deepEqual(
          pulled.snapshots.map(({ fresh }) => fresh),
          [true],
        );
        assert.deepEqual(halfMadeIn(disk.path), []);
      });

    const snapshots = (directory: string) => readdirSync(join(storeOf(directory), pushed.id, 'warm'));

    it('has no room for what is packed, and leaves the tag as it was', async (t) => {
      const disk = new FullDisk(t, 'size=256M');
      const { reference, isThere } = unusedReference(t, registry);
      mkdirSync(storeOf(disk.path), { recursive: true });
      execFileSync('cp', ['-a', '--sparse=always', baked.image, storeOf(disk.path)]);
      for (const left of [0, 2 * MIB, 70 * MIB]) {
        disk.fill(left);
        const result = await runBake(disk.path, ['push', pushed.id, reference, '--cold']);
        if (left < 70 * MIB) assertBakeFailure(result, /no space is left in \S+.*; free /);
        else assert.equal(result.code, 0, result.stderr);
        assert.equal(await isThere(), left === 70 * MIB);
        assert.deepEqual(halfMadeIn(disk.path), []);
        disk.makeRoom();
      }
    });
  });

  describe('that a signal interrupts', () => {
    /** @param way what is stopped in the middle */
    const stopping = (proxy: RegistryProxy, way: 'push' | 'pull') =>
      proxy.interfere((method, path) => {
        const isContent = way === 'push' ? method === 'PUT' || method === 'PATCH' : /\/blobs\/sha256:/.test(path);
        return isContent ? { kind: 'stop', after: 1_000_000 } : { kind: 'pass' };
      });
    for (const [signal, status] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      it(`${signal} ends a pull, which leaves nothing`, async (t) => {
        const proxy = await startRegistryProxy(t, registry.host);
        const store = emptyStore(t);
        stopping(proxy, 'pull');
        const running = startSandbox(['pull', `${proxy.host}/boot/web:1`], {
          program: `${PROGRAM}-bake`,
          env: { XDG_CACHE_HOME: store },
        });
        await Promise.race([proxy.stopped(), running.result]);
        running.child.kill(signal);
        const { code, out, stderr } = await running.result;
        assert.deepEqual([code, out], [status, ''], stderr);
        assert.deepEqual([imagesIn(store), halfMadeIn(store)], [[], []]);
      });

      it(`${signal} ends a push, and the tag stays as it was`, async (t) => {
        const proxy = await startRegistryProxy(t, registry.host);
        const { reference, isThere } = unusedReference(t, registry);
        stopping(proxy, 'push');
        const words = ['push', pushed.id, reference.replace(registry.host, proxy.host)];
        const running = startSandbox(words, { program: `${PROGRAM}-bake`, env: { XDG_CACHE_HOME: cache } });
        await Promise.race([proxy.stopped(), running.result]);
        running.child.kill(signal);
        const { code, out, stderr } = await running.result;
        assert.deepEqual([code, out], [status, ''], stderr);
        assert.deepEqual([halfMadeIn(cache), await isThere()], [[], false]);
      });
    }
  });

  it('goes on where a registry breaks off', async (t) => {
    const proxy = await startRegistryProxy(t, registry.host);
    const broken = new Set<string>();
    proxy.interfere((method, path) => {
      const key = `${method === 'GET' ? 'GET' : 'PUT'} ${/sha256(?::|%3A)[0-9a-f]+/.exec(path)?.[0] ?? ''}`;
      const isContent = key.length > 20 && (method === 'PUT' || (method === 'GET' && path.includes('/blobs/')));
      if (!isContent || broken.has(key)) return { kind: 'pass' };
      broken.add(key);
      return { kind: 'break', after: 200_000 };
    });
    const { reference } = unusedReference(t, registry);
    const through = reference.replace(registry.host, proxy.host);
    const sent = await bakeJson<Pushed>(cache, ['push', pushed.id, through]);
    assert.equal(sent.digest, pushed.digest);
    const store = emptyStore(t);
    const pulled = await bakeJson<Pulled>(store, ['pull', through]);
    assert.deepEqual([pulled.digest, pulled.snapshots.length], [pushed.digest, 1]);
    assert.ok(broken.size > 6, [...broken].join('\n'));
  });

  it('waits for no registry that has stopped for good: the tag stays, and nothing is kept', async (t) => {
    const stopped = await startDebianRegistry(t);
    const proxy = await startRegistryProxy(t, stopped.host);
    proxy.interfere((method) => (method === 'PUT' ? { kind: 'status', status: 500 } : { kind: 'pass' }));
    const result = await runBake(cache, ['push', pushed.id, `${proxy.host}/boot/stopped:1`]);
    assertBakeFailure(result, /500/);
    assert.ok(!(await hasTag(stopped.host, 'boot/stopped')));
    assert.deepEqual(halfMadeIn(cache), []);
  });
});
