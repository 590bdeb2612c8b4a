/** The JSON output of virt-sandbox-bake. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createImage } from '../../../../src/image/create-ahead.js';
import { imageNamed } from '../../../../src/image/store/names.js';
import { bakeJson, runBake } from '../../../helpers/bake.js';
import { flipByte } from '../../../helpers/kernel-files.js';
import { testMachine } from '../../../helpers/machines.js';

/** Images named `web` and `small` in the store of a cache. */
async function twoImages(context: TestContext) {
  const machine = testMachine(context);
  const cache = join(machine.directory, 'cache');
  const store = join(cache, 'virt-sandbox/images');
  const options = { ...machine.options, storeDirectory: store };
  const web = await createImage({ ...options, name: 'web' });
  const small = await createImage({ ...options, sets: ['console'], name: 'small' });
  const init = readFileSync(machine.init);
  // This process has leased them and would keep them.
  rmSync(join(store, '.leases'), { recursive: true });
  return { directory: machine.directory, cache, store, web, small, init };
}

test('ls: the archives and their files', async (context) => {
  const { cache, web, init } = await twoImages(context);
  const { path, archives } = await bakeJson<{ path: string; archives: { entries: { name: string }[] }[] }>(cache, [
    'ls',
    'web',
  ]);
  assert.equal(path, web.initrd);
  const [{ entries = [], ...archive } = {}, ...others] = archives;
  assert.deepEqual({ archive, others }, { archive: { offset: 0, compression: 'none' }, others: [] });
  const entry = entries.find(({ name }) => name === 'init');
  const { name, type, mode, uid, gid, mtime, size } = entry as unknown as Record<string, unknown>;
  const expected = { name: 'init', type: 'file', mode: 0o100755, uid: 0, gid: 0, mtime: 0, size: init.length };
  assert.deepEqual({ name, type, mode, uid, gid, mtime, size }, expected);
});

test('cat: the file, whatever its bytes', async (context) => {
  const { cache, init } = await twoImages(context);
  assert.deepEqual(await bakeJson(cache, ['cat', 'web', 'init']), {
    name: 'init',
    mode: 0o100755,
    size: init.length,
    base64: init.toString('base64'),
  });
});

test('unpack: how much was unpacked and what was skipped', async (context) => {
  const { cache, directory, init } = await twoImages(context);
  const into = join(directory, 'unpacked');
  const result = await bakeJson<{ directory: string; skipped: string[] }>(cache, ['unpack', 'web', into]);
  assert.equal(result.directory, into);
  assert.ok(Array.isArray(result.skipped));
  assert.ok(readFileSync(join(into, 'init')).equals(init));
});

test('diff: a list, empty for equal images', async (context) => {
  const { cache } = await twoImages(context);
  assert.deepEqual(await bakeJson(cache, ['diff', 'web', 'web']), []);
  const { code, out, stderr } = await runBake(cache, ['diff', 'web', 'small', '--json']);
  assert.deepEqual({ code, stderr }, { code: 1, stderr: '' });
  const [first] = JSON.parse(out) as unknown[];
  assert.deepEqual(first, { about: 'sets', what: 'sets', a: 'console, root-9p', b: 'console' });
});

test('verify: each image and its damage', async (context) => {
  const { cache, small, web } = await twoImages(context);
  const whole = { damage: [], whole: true };
  assert.deepEqual(await bakeJson(cache, ['verify', 'web', 'small']), [
    { image: 'web', ...whole },
    { image: 'small', ...whole },
  ]);
  writeFileSync(small.kernel, flipByte(readFileSync(small.kernel), 1000, 1));
  const { code, out, stderr } = await runBake(cache, ['verify', '--all', '--json']);
  assert.deepEqual({ code, stderr }, { code: 1, stderr: '' });
  const results = JSON.parse(out) as { image: string }[];
  assert.deepEqual(
    results.sort((a, b) => (a.image === web.id ? -1 : b.image === web.id ? 1 : 0)),
    [
      { image: web.id, ...whole },
      { image: small.id, damage: [{ file: 'vmlinux', problem: 'its content was changed' }], whole: false },
    ],
  );
});

test('rm: what was removed, and what was kept and why', async (context) => {
  const { cache, store, web, small } = await twoImages(context);
  const { code, out, stderr } = await runBake(cache, ['rm', 'web', 'missing', 'small', '--json']);
  assert.equal(code, 125);
  assert.match(stderr, /^virt-sandbox-bake: image: there is no image missing in [^\n]+\n$/);
  const [first, second, third] = JSON.parse(out) as { error?: { code: string; message: string; remedy: string } }[];
  assert.deepEqual(first, { image: 'web', id: web.id, removed: true });
  const { error, ...failed } = second ?? {};
  assert.deepEqual(failed, { image: 'missing', removed: false });
  assert.equal(error?.code, 'image-not-found');
  assert.ok(stderr.includes(`${error.message}; ${error.remedy}`));
  assert.deepEqual(third, { image: 'small', id: small.id, removed: true });
  assert.ok(!existsSync(web.directory) && !existsSync(small.directory));
  assert.equal(imageNamed(store, 'web'), undefined);
});

test('rm without --json continues too', async (context) => {
  const { cache } = await twoImages(context);
  const { code, out, stderr } = await runBake(cache, ['rm', 'missing', 'web']);
  assert.deepEqual({ code, out }, { code: 125, out: 'web: removed\n' });
  assert.match(stderr, /^virt-sandbox-bake: image: there is no image missing in [^\n]+\n$/);
});

test('prune: what it would remove, and what it removed', async (context) => {
  const { cache, small } = await twoImages(context);
  await bakeJson(cache, ['rm', 'web']);
  assert.deepEqual(await bakeJson(cache, ['prune']), { dryRun: false, freed: 0, images: [], workspaces: [] });
  rmSync(join(cache, 'virt-sandbox/images/.names/small'));
  for (const dryRun of [true, false]) {
    const { images, freed, ...rest } = await bakeJson<{ images: Record<string, unknown>[]; freed: number }>(cache, [
      'prune',
      ...(dryRun ? ['--dry-run'] : []),
    ]);
    assert.deepEqual(rest, { dryRun, workspaces: [] });
    assert.deepEqual(
      images.map(({ id, size }) => ({ id, size })),
      [{ id: small.id, size: freed }],
    );
    assert.equal(existsSync(small.directory), dryRun);
  }
});
