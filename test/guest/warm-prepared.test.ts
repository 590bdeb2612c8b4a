/** Snapshots of machines with their root and programs: what goes on in a sandbox, and whose sandboxes they are. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SandboxPool } from '../../src/index.js';
import { ACCEL, ACCELERATION } from '../helpers/acceleration.js';
import { bakeJson, runBake } from '../helpers/bake.js';
import { makeCache, removeCache } from '../helpers/cache.js';
import { embedded, system } from '../helpers/connections.js';
import { assertBakeFailure, imagesIn, type Pulled, storeOf } from '../helpers/fleet.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { busyboxImage, layoutWith, unlessImages } from '../helpers/oci/busybox.js';
import { startDebianRegistry, unlessDebianRegistry } from '../helpers/oci/debian-registry.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, assertRun, type RunOptions, type RunResult, runSandbox } from '../helpers/run.js';
import { freshDirectory } from '../helpers/scratch.js';
import type { Baked } from '../helpers/snapshots.js';

const FOR = ['--for', ACCEL.join(' ')];
/** It counts, and tells what it was told. */
const SERVER = [
  'trap "cat /run/virt-sandbox/restored >/tmp/seen" USR1',
  'echo up',
  'n=0; while :; do n=$((n+1)); echo $n >/tmp/new; mv /tmp/new /tmp/count; sleep 0.1; done',
].join('; ');

describe('a snapshot with its root and programs', { skip: embedded.skip || unlessImages() }, () => {
  const cache = makeCache();
  const ground = freshDirectory('/var/tmp');
  const root = layoutWith(join(ground, 'image'), busyboxImage({}, []));
  after(() => {
    removeCache(cache);
    rmSync(ground, { recursive: true, force: true });
  });
  const bake = (name: string, ...more: readonly string[]) =>
    bakeJson<Baked>(cache, ['create', '--warm', '-n', name, '--root', root, ...FOR, ...more]);
  const run = (image: string, script: string, ...more: readonly string[]): Promise<RunResult> =>
    runSandbox([...ACCEL, '--boot', 'warm', '--image', image, '--root', root, ...more, '--', 'sh', '-c', script], {
      env: { XDG_CACHE_HOME: cache },
    });
  const embed = ['-c', embedded.uri];

  it('has what was written, and is another one each time', async () => {
    const baked = await bake('written', '--prepare', 'echo well >/kept; id -u >/tmp/who');
    assert.ok(baked.warmSize < 120e6, String(baked.warmSize));
    const seen = new Set<string>();
    for (const name of [uniqueName(), uniqueName()]) {
      const facts =
        'cat /kept /tmp/who /run/virt-sandbox/restored; hostname; cat /etc/hostname; cat /proc/sys/kernel/random/uuid';
      const result = await run('written', facts, ...embed, '-n', name);
      assert.equal(result.stderr, '');
      const [kept, who, restored = '', host, file, random = ''] = result.out.trim().split('\n');
      assert.deepEqual([kept, who, host, file], ['well', '0', name, name]);
      assert.match(restored, /^[0-9a-f-]{36}$/);
      seen.add(restored).add(random);
      await assertNothingLeft(name);
    }
    assert.equal(seen.size, 4);
    const clock = Number((await run('written', 'date +%s', ...embed)).out);
    assert.ok(Math.abs(clock - Date.now() / 1000) < 5, String(clock));
  });

  it('has programs that go on, and are told', async () => {
    await bake('server', '--prepare', SERVER, '--ready', 'line:up', '--notify', 'USR1');
    const script =
      'a=$(cat /tmp/count); sleep 1; test $(cat /tmp/count) -gt $a && cmp /tmp/seen /run/virt-sandbox/restored && echo told';
    for (const _ of [1, 2]) assertRun(await run('server', script, ...embed), 0, 'told\n');
    // One that ends then is no fault of the sandbox.
    await bake(
      'short',
      '--prepare',
      'trap "exit 3" USR1; >/tmp/here; while :; do sleep 0.1; done',
      '--ready',
      'file:/tmp/here',
      '--notify',
      'USR1',
    );
    assertRun(await run('short', 'sleep 1; echo well', ...embed), 0, 'well\n');
  });

  it('has mounts beside it', async () => {
    await bake('beside', '--prepare', 'true', '--slots', 'mounts=2,disks=1,networks=1');
    writeFileSync(join(ground, 'file'), 'shared\n');
    const mounts = ['-m', `host-bind:/mnt=${ground}`, '-m', 'ram:/srv=1M'];
    const script = 'cat /mnt/file; stat -f -c %T /srv; echo x >/sys/bus/pci/rescan';
    const { code, out, stderr } = await run('beside', script, ...embed, ...mounts);
    assert.deepEqual([code, out], [1, 'shared\ntmpfs\n'], stderr);
    assert.match(stderr, /Read-only file system/);
    assertFailure(await run('beside', 'true', ...embed, '-N', 'dhcp'), /takes no network/);
  });

  it('serves those who name it, and have the same root', async () => {
    await bake('one', '--prepare', 'echo one >/which');
    await bake('two', '--prepare', 'echo two >/which');
    assertRun(await run('one', 'cat /which', ...embed), 0, 'one\n');
    assertRun(await run('two', 'cat /which', ...embed), 0, 'two\n');
    const other = layoutWith(join(ground, 'other'), busyboxImage({}, [{ name: 'more', data: 'x' }]));
    const words = ['-c', embedded.uri, ...ACCEL, '--boot', 'warm'];
    const env = { XDG_CACHE_HOME: cache };
    const refused = (...more: readonly string[]) => runSandbox([...words, ...more, '--', 'true'], { env });
    assertFailure(await refused('--root', root), /has programs in it, and serves those who name (?:one|two|written)/);
    assertFailure(await refused('--image', 'one', '--root', other), /has another root mounted/);
    assertFailure(
      await refused('--image', 'one', '--root', root, '-p'),
      /has another root mounted, or one with other rights/,
    );
    const disk = join(ground, 'disk');
    writeFileSync(disk, Buffer.alloc(1 << 20));
    const second = ['--root', root, '--disk', `file:a=${disk}`];
    assertFailure(await refused('--image', 'one', ...second), /no slot for a second disk|takes no other disk/);
    // Where a cold start will do, it is one.
    const cold = await runSandbox(
      ['-c', embedded.uri, ...ACCEL, '-v', '--image', 'one', '--root', other, '--', 'cat', '/more'],
      { env },
    );
    assert.deepEqual([cold.code, cold.out], [0, 'x'], cold.stderr);
    assert.match(cold.stderr, /^virt-sandbox: boot: cold, because the snapshot \S+ has another root mounted/m);
    const listed = await runBake(cache, ['list']);
    assert.match(listed.out, /programs of two/);
  });

  it('is not made if its preparation fails, hangs or writes for ever', async () => {
    const { warm } = await bake('stays', '--prepare', 'echo first >/which');
    const again = (...words: readonly string[]) =>
      runBake(cache, ['create', '--warm', '-n', 'stays', '--root', root, ...FOR, ...words]);
    const failures: readonly (readonly [readonly string[], RegExp])[] = [
      [['--prepare', 'echo why >&2; exit 3'], /the preparation has ended with status 3: why; try the same/],
      [['--prepare', 'kill -9 $$'], /the preparation has ended with status 137/],
      [
        ['--prepare', 'sleep 1000', '--prepare-timeout', '2s'],
        /the preparation is not ready after 2 s; .*--prepare-timeout/,
      ],
      [['--prepare', 'yes', '--prepare-timeout', '3s'], /the preparation is not ready after 3 s: y; /],
      [['--prepare', 'yes', '--ready', 'line:up', '--prepare-timeout', '3s'], /is not ready after 3 s: y; /],
      [['--prepare', 'echo soon', '--ready', 'file:/never'], /ended with status 0 before it was ready: soon; /],
      [['--prepare', 'printf "\\033]0;x\\007\\n"; exit 1'], /has ended with status 1: \\u\{1b\}\]0;x\\u\{7\}; /],
    ];
    for (const [words, pattern] of failures) assertBakeFailure(await again(...words), pattern);
    const image = join(storeOf(cache), basename(join(warm, '../..')));
    assert.ok(readdirSync(join(image, 'warm')).includes(basename(warm)));
    assertRun(await run('stays', 'cat /which', ...embed), 0, 'first\n');
  });

  it('needs an image as its root, a name, and words that fit', async () => {
    const create = (...words: readonly string[]) => runBake(cache, ['create', ...words]);
    const prepare = ['--prepare', 'true'];
    assertBakeFailure(
      await create('--warm', '-n', 'x', ...prepare),
      /a directory of this host as its root cannot be saved/,
    );
    assertBakeFailure(await create('--warm', ...prepare), /--prepare needs --name/);
    assertBakeFailure(await create(...prepare, '-n', 'x'), /--prepare goes with --warm/);
    for (const option of ['root', 'ready', 'notify', 'prepare-timeout'])
      assertBakeFailure(await create('--warm', `--${option}`, 'x'), new RegExp(`--${option} goes with --prepare`));
    const named = ['--warm', '-n', 'x', '--root', root, ...prepare];
    assertBakeFailure(await create(...named, '--ready', 'x'), /is neither file:\/PATH nor line:TEXT/);
    assertBakeFailure(await create(...named, '--notify', 'USR1'), /--notify goes with --ready/);
    assertBakeFailure(await create(...named, '--ready', 'line:x', '--notify', 'XX'), /--notify=XX is no signal/);
    assertBakeFailure(await create(...named, '--common-init', 'guest'), /needs the common init in the host/);
  });

  it('serves pools', async () => {
    await bake('pooled', '--prepare', 'echo pooled >/which');
    const before = process.env['XDG_CACHE_HOME'];
    process.env['XDG_CACHE_HOME'] = cache;
    try {
      const options = { root, image: 'pooled', boot: 'warm', acceleration: ACCELERATION } as const;
      await using pool = await SandboxPool.create({ size: 1, connect: embedded.uri, ...options });
      await using sandbox = await pool.take();
      assert.equal((await sandbox.run('cat /which')).stdout, 'pooled\n');
    } finally {
      if (before === undefined) delete process.env['XDG_CACHE_HOME'];
      else process.env['XDG_CACHE_HOME'] = before;
    }
  });

  it('starts over qemu:///system', { skip: system.skip }, async () => {
    await bake('system', '--prepare', 'echo system >/which', '-c', system.uri);
    const name = uniqueName();
    assertRun(await run('system', 'cat /which', '-c', system.uri, '-n', name), 0, 'system\n');
    await assertNothingLeft(name, system.where);
  });

  it('goes to other hosts by a registry', { skip: unlessDebianRegistry() }, async (t) => {
    const registry = await startDebianRegistry(t);
    const { image } = await bake('pushed', '--prepare', 'echo pushed >/which');
    await bakeJson(cache, ['push', basename(image), `${registry.host}/boot/prepared:1`]);
    const other = makeCache();
    t.after(() => removeCache(other));
    const pulled = await bakeJson<Pulled>(other, ['pull', `${registry.host}/boot/prepared:1`, '-n', 'pulled']);
    assert.deepEqual(pulled.left, []);
    assert.equal(imagesIn(other).length, 1);
    const words = ['-c', embedded.uri, ...ACCEL, '--boot', 'warm', '--image', 'pulled', '--root', root];
    const result = await runSandbox([...words, '--', 'cat', '/which'], { env: { XDG_CACHE_HOME: other } });
    assert.equal(result.code, 0, result.stderr);
  });

  describe('of an ordinary user', { skip: unlessOrdinaryUser() }, () => {
    let user: OrdinaryUser;
    before(async () => {
      user = await OrdinaryUser.create({ emptyStore: true });
    });
    after(() => user?.end());
    for (const uri of ['qemu:///embed', 'qemu:///session'])
      it(`starts over ${uri}`, async () => {
        const options: RunOptions = user.options;
        const words = [
          'create',
          '--warm',
          '-n',
          'own',
          '-c',
          uri,
          '--root',
          root,
          ...FOR,
          '--prepare',
          'id -u >/which',
        ];
        const program = `${options.program}-bake`;
        const made = await runSandbox(words, { ...options, program });
        assert.deepEqual([made.code, made.stderr], [0, '']);
        const name = uniqueName();
        const start = ['-c', uri, ...ACCEL, '--boot', 'warm', '--image', 'own', '--root', root, '-n', name];
        assertRun(await runSandbox([...start, '--', 'cat', '/which'], options), 0, '0\n');
        await assertNothingLeft(name, user.where);
      });
  });
});
