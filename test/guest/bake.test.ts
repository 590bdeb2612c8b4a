/** Images baked ahead from the installed kernels and modules, and machines that run from them. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ACCEL } from '../helpers/acceleration.js';
import { bakeJson, runBake } from '../helpers/bake.js';
import { copyFacts, makeCache, removeCache } from '../helpers/cache.js';
import { embedded } from '../helpers/connections.js';
import { flipByte } from '../helpers/kernel-files.js';
import { servingKernel, unlessServingKernel } from '../helpers/kernels.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { imageFiles } from '../helpers/machines.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, assertRun, runSandbox, startSandbox } from '../helpers/run.js';

/** One store for all tests, so that libvirt asks QEMU for its capabilities once. */
const cache = makeCache();
after(() => removeCache(cache));

interface Created {
  readonly image: string;
  readonly id: string;
  readonly built: boolean;
  readonly compression: string;
}

const skip = unlessServingKernel || embedded.skip;
const run = (args: readonly string[], ...command: string[]) =>
  runSandbox(['-c', embedded.uri, ...args, '--', ...command], { env: { XDG_CACHE_HOME: cache } });

describe('a machine that runs from a baked image', { skip }, () => {
  // The tests below boot those packed with zstd and gzip, and all others those that are not packed.
  for (const compression of ['xz', 'lz4']) {
    it(`boots an initrd packed with ${compression}, found by its name`, async () => {
      const created = await bakeJson<Created>(cache, ['create', '--name', compression, '--compress', compression]);
      assert.equal(created.compression, compression);
      assertRun(await run(['--image', compression], 'uname', '-r'), 0, `${servingKernel}\n`);
    });
  }

  it('boots from a directory outside the store', async () => {
    const [output, other] = [join(cache, 'shipped'), join(cache, 'other')];
    copyFacts(join(other, 'virt-sandbox'));
    const { id, compression } = await bakeJson<Created>(cache, ['create', '-o', output, '--compress', 'zstd']);
    assert.equal(compression, 'zstd');
    const result = await runSandbox(['-c', embedded.uri, '--image', output, '--dry-run', '--json', '--', 'true'], {
      env: { XDG_CACHE_HOME: other },
    });
    const { kernel, built } = JSON.parse(result.out) as { kernel: string; built: boolean };
    const copy = join(other, 'virt-sandbox/images/.imported', id);
    assert.deepEqual({ kernel, built }, { kernel: join(copy, 'vmlinux'), built: false });
    assertRun(await run(['--image', output], 'true'), 0, '');
  });

  it("is found by virt-sandbox by itself when it is baked with the sandbox's options", async () => {
    const { id } = await bakeJson<Created>(cache, ['create']);
    const made = await bakeJson<Created>(cache, ['create', '--for', '--memory 256 -e "A=b c" -- /bin/true']);
    assert.equal(made.id, id);
    const dry = await run(['--dry-run', '--json'], 'true');
    assert.equal((JSON.parse(dry.out) as { image: string }).image, made.image);
    assert.equal((JSON.parse(dry.out) as { built: boolean }).built, false);
  });

  it('has what a sandbox from a file needs', async () => {
    const file = join(cache, 'with a disk.cfg');
    const words = ['--disk', 'file:data=/dev/null', '--memory', '300', '--profile', 'compatible'];
    assertRun(await run([...words, '--save-config', file], 'true'), 0, '');
    const made = await bakeJson<Created & { sets: string[] }>(cache, ['create', '--for', `--config '${file}'`]);
    const told = await bakeJson<Created & { sets: string[] }>(cache, ['create', '--for', words.join(' ')]);
    assert.ok(made.sets.includes('block'), made.sets.join(', '));
    assert.equal(made.id, told.id);
  });

  it('is kept while the machine runs, and pruned after it has ended', async () => {
    const args = ['create', '--with', 'overlay', '--name', 'used', '--compress', 'gzip'];
    const { id, image, compression } = await bakeJson<Created>(cache, args);
    assert.equal(compression, 'gzip');
    const name = uniqueName();
    const running = startSandbox(
      ['-c', embedded.uri, '-n', name, '--image', 'used', '--', 'sh', '-c', 'echo up; read x; uname -r'],
      {
        env: { XDG_CACHE_HOME: cache },
        input: 'open',
      },
    );
    await running.until(/up/);
    const list = await bakeJson<{ id: string; usedBy: string[] }[]>(cache, ['list']);
    assert.deepEqual(list.find((entry) => entry.id === id)?.usedBy, [name]);
    const refused = await runBake(cache, ['rm', 'used']);
    assert.equal(refused.code, 125);
    assert.match(refused.stderr, new RegExp(`^virt-sandbox-bake: image: image used is in use by ${name}; .+\n$`));
    assert.ok(existsSync(image));
    running.child.stdin?.end('go\n');
    assertRun(await running.result, 0, `up\n${servingKernel}\n`);
    await assertNothingLeft(name);
    const removed = await runBake(cache, ['rm', 'used']);
    assertRun(removed, 0, 'used: removed\n');
    assert.ok(!existsSync(image));
  });
});

describe('images through the API', { skip: unlessServingKernel }, () => {
  it('are made, listed, verified and removed', async () => {
    // The bundle that users import, with the types of its source.
    const { Images, SandboxError } = (await import(
      pathToFileURL(join(process.cwd(), 'dist/index.js')).href
    )) as typeof import('../../src/index.js');
    const storeDirectory = join(cache, 'of a program');
    const kernel = { version: servingKernel, path: undefined, modulesPath: undefined };
    const made = await Images.create({ kernel, sets: ['console', 'root-9p'], storeDirectory, name: 'mine' });
    const [listed] = await Images.list(storeDirectory);
    assert.deepEqual({ id: listed?.id, names: listed?.names }, { id: made.id, names: ['mine'] });
    assert.deepEqual(await Images.verify('mine', storeDirectory), []);
    assert.deepEqual((await Images.prune({}, storeDirectory)).images, []);
    assert.deepEqual(await Images.remove('mine', storeDirectory), { id: made.id, removed: true });
    await assert.rejects(Images.verify('mine', storeDirectory), (error) => error instanceof SandboxError);
  });
});

describe('an image that does not serve', { skip }, () => {
  const fails = async (args: readonly string[], ...patterns: RegExp[]) =>
    assertFailure(await run(args, 'true'), ...patterns);

  it('is refused before anything starts, and the error says what it lacks', async () => {
    const kernel = readdirSync('/lib/modules').find((version) => version.includes('cloud'));
    const args = ['create', '--name', 'virtiofs', '--with', 'root-virtiofs', ...(kernel ? ['--kernver', kernel] : [])];
    await bakeJson<Created>(cache, args);
    await fails(
      ['--image', 'virtiofs', '--root-fs', '9p'],
      /boot image virtiofs was baked without root-9p/,
      /--with root-9p/,
    );
    // What serves the root is no matter to others.
    assertRun(await run([...ACCEL, '--image', 'virtiofs'], 'true'), 0, '');
    await bakeJson<Created>(cache, ['create', '--name', '9p', '--for', '--root-fs 9p']);
    const { code, stderr } = await run(['-v', '--image', '9p'], 'true');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^virt-sandbox: root: over 9p, because boot image 9p was baked without root-virtiofs/m);
  });

  it('is refused when it does not exist, is no image, or has another kernel', async () => {
    await fails(['--image', 'nowhere'], /there is no image nowhere/, /create --name nowhere/);
    await fails(['--image', './nowhere'], /there is no directory/);
    await fails(['--image', '/etc'], /is no boot image/);
    await fails(['--image', 'xz', '--kernver', '1.2.3'], /another was asked for/);
  });

  it('is damaged: verify names the changed byte', async () => {
    const { image } = await bakeJson<Created>(cache, ['create', '--name', 'flip']);
    assertRun(await runBake(cache, ['verify', 'flip']), 0, 'flip: whole\n');
    for (const name of readdirSync(image)) {
      const path = join(image, name);
      const whole = readFileSync(path);
      writeFileSync(path, flipByte(whole, Math.floor(whole.length / 2), 1));
      const { code, out } = await runBake(cache, ['verify', 'flip']);
      assert.equal(code, 1);
      assert.match(out, new RegExp(`^flip: ${name}: .+`));
      writeFileSync(path, whole);
    }
    assertRun(await runBake(cache, ['verify', 'flip']), 0, 'flip: whole\n');
  });
});

describe('an image has the same bytes', { skip: unlessServingKernel || unlessOrdinaryUser() }, () => {
  it('for two users with other directories, time zones, locales and umasks', async () => {
    const user = await OrdinaryUser.create({ emptyStore: true });
    try {
      const here = join(cache, 'reproduced');
      mkdirSync(here);
      const there = join(user.home, 'a cache');
      const baked = async (compression: string) => {
        const args = ['create', '--with', 'block,network', '--compress', compression, '-o'];
        const mine = join(here, compression);
        const theirs = join(user.home, `out ${compression}`);
        const first = await bakeJson<Created>(cache, [...args, mine], {
          env: { TZ: 'Pacific/Kiritimati', LC_ALL: 'C', SOURCE_DATE_EPOCH: undefined },
          through: ['sh', '-c', 'umask 077; exec "$@"', 'sh'],
          cwd: '/',
        });
        const { through = [] } = user.options;
        const second = await bakeJson<Created>(there, [...args, theirs], {
          ...user.options,
          env: { ...user.options.env, TZ: 'America/New_York', LC_ALL: 'tr_TR.UTF-8', SOURCE_DATE_EPOCH: '1234567890' },
          through: [...through, 'sh', '-c', 'umask 000; exec "$@"', 'sh'],
        });
        assert.deepEqual({ built: first.built && second.built, id: first.id }, { built: true, id: second.id });
        assert.deepEqual(Object.keys(imageFiles({ directory: mine })), ['initrd', 'manifest.json', 'vmlinux']);
        assert.deepEqual(imageFiles({ directory: mine }), imageFiles({ directory: theirs }), compression);
        assertRun(await runBake(cache, ['diff', mine, theirs]), 0, '');
      };
      for (const compression of ['none', 'gzip', 'xz', 'zstd', 'lz4']) await baked(compression);
    } finally {
      await user.end();
    }
  });
});
