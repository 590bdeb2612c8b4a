/** The image store: list, rm, prune, verify and diff. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { restoredMachineArguments } from '../../../../src/domain/snapshot.js';
import { createImage } from '../../../../src/image/create-ahead.js';
import { differences } from '../../../../src/image/inspect/diff.js';
import { storedImages } from '../../../../src/image/inspect/inventory.js';
import { readInitrd } from '../../../../src/image/inspect/source.js';
import { verifyImage } from '../../../../src/image/inspect/verify.js';
import { pruneImages } from '../../../../src/image/remove/prune.js';
import { discardImage, removeImage } from '../../../../src/image/remove/remove-images.js';
import { leasesOf } from '../../../../src/image/store/lease.js';
import { imageNames, nameImage } from '../../../../src/image/store/names.js';
import { imageRef } from '../../../../src/image/store/open.js';
import { ownerTag } from '../../../../src/image/store/owner.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { flipByte, makeKernel } from '../../../helpers/kernel-files.js';
import { leaseFor } from '../../../helpers/leases.js';
import { storeContents, type TestMachine, testMachine, VERSION } from '../../../helpers/machines.js';

const booted = (directory: string) => ['-kernel', join(directory, 'vmlinux')];
const restored = (directory: string) =>
  restoredMachineArguments({ path: join(directory, 'warm/0123-abcd/memory'), size: 1 << 20 });

/** A process that looks in /proc like a QEMU with its machine from `directory`. */
async function fakeMachine(
  context: TestContext,
  directory: string,
  name: string,
  from = booted,
): Promise<{ end: () => Promise<void> }> {
  const script = 'process.stdout.write("up"); setInterval(() => {}, 1000)';
  const child = spawn(
    process.execPath,
    ['-e', script, '--', '-name', `guest=${name},debug-threads=on`, '{', ...from(directory)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const exited = once(child, 'exit');
  const end = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  context.after(end);
  await once(child.stdout, 'data');
  return { end };
}

/** Two images, one of them with a name. */
async function twoImages(machine: TestMachine) {
  const named = await createImage({ ...machine.options, name: 'web' });
  const other = await createImage({ ...machine.options, sets: ['console'] });
  return { named, other };
}

describe('list', () => {
  it('prints names, sizes, kernels, sets, the last use, and damage', async (context) => {
    const machine = testMachine(context);
    const { named, other } = await twoImages(machine);
    utimesSync(named.directory, 1000, 1000);
    const broken = join(machine.store, 'f'.repeat(32));
    mkdirSync(broken);
    writeFileSync(join(broken, 'manifest.json'), '{}');
    const images = await storedImages(machine.store);
    assert.deepEqual(images.map(({ id }) => id).sort(), [named.id, other.id, 'f'.repeat(32)].sort());
    assert.equal(images.at(-1)?.id, named.id, 'the last used first');
    const [web] = images.filter(({ id }) => id === named.id);
    assert.deepEqual(web?.names, ['web']);
    assert.equal(web?.lastUsed.getTime(), 1_000_000);
    assert.equal(web?.manifest?.kernel.version, VERSION);
    assert.ok((web?.size ?? 0) > 100_000);
    assert.equal(images.find(({ id }) => id.startsWith('ff'))?.manifest, undefined);
  });
});

describe('rm and prune', () => {
  it('prune keeps images with a name, recently used ones, and ones that run; it says so first', async (context) => {
    const machine = testMachine(context);
    const { named, other } = await twoImages(machine);
    const old = await createImage({ ...machine.options, sets: ['root-9p'] });
    utimesSync(old.directory, 1000, 1000);
    const running = await fakeMachine(context, other.directory, 'sandbox-x');
    const ids = async (options: object) => (await pruneImages(machine.store, options)).images.map(({ id }) => id);
    assert.deepEqual(await ids({ dryRun: true }), [old.id]);
    assert.deepEqual(await ids({ dryRun: true, olderThan: 3_600_000 }), [old.id]);
    assert.ok(existsSync(old.directory));
    assert.deepEqual(await ids({ olderThan: 3_600_000 }), [old.id]);
    assert.ok(!existsSync(old.directory));
    assert.deepEqual((await storedImages(machine.store)).find(({ id }) => id === other.id)?.usedBy, ['sandbox-x']);
    await rejectsWith(removeImage(machine.store, other.id), 'image-in-use', /in use by sandbox-x/);
    assert.deepEqual(await ids({}), []);
    await running.end();
    assert.deepEqual(await ids({}), [other.id]);
    assert.deepEqual(storeContents(machine.store).images, [named.id]);
    // The removed image is not found any more, and is built again.
    assert.equal((await createImage({ ...machine.options, sets: ['console'] })).fresh, true);
  });

  it('a restored machine is known by its name like any other', async (context) => {
    const machine = testMachine(context);
    const { other } = await twoImages(machine);
    const running = await fakeMachine(context, other.directory, 'sandbox-w', restored);
    assert.deepEqual((await storedImages(machine.store)).find(({ id }) => id === other.id)?.usedBy, ['sandbox-w']);
    await rejectsWith(removeImage(machine.store, other.id), 'image-in-use', /in use by sandbox-w/);
    await running.end();
    assert.deepEqual((await storedImages(machine.store)).find(({ id }) => id === other.id)?.usedBy, []);
  });

  it('a machine is found through symbolic links above the store', async (context) => {
    const machine = testMachine(context);
    const { other } = await twoImages(machine);
    symlinkSync(machine.directory, join(machine.directory, 'alias'));
    await fakeMachine(context, join(machine.directory, 'alias/store', other.id), 'sandbox-y');
    assert.deepEqual((await pruneImages(machine.store)).images, []);
  });

  it('a lease keeps an image while its process lives', async (context) => {
    const machine = testMachine(context);
    const { other } = await twoImages(machine);
    const child = spawn('sleep', ['1000']);
    context.after(() => child.kill('SIGKILL'));
    const lease = leaseFor(machine.store, other.id, child.pid ?? 0);
    assert.deepEqual(
      leasesOf(machine.store)
        .get(other.id)
        ?.includes(child.pid ?? 0),
      true,
    );
    assert.deepEqual((await pruneImages(machine.store)).images, []);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    assert.deepEqual(
      (await pruneImages(machine.store)).images.map(({ id }) => id),
      [other.id],
    );
    assert.ok(!existsSync(lease));
  });

  it('rm takes names or ids, and the last name takes the image with it', async (context) => {
    const machine = testMachine(context);
    const { named, other } = await twoImages(machine);
    await createImage({ ...machine.options, name: 'alias' });
    await rejectsWith(removeImage(machine.store, named.id), 'image-has-names', /names alias, web/);
    assert.deepEqual(await removeImage(machine.store, 'alias'), { id: named.id, removed: false });
    assert.deepEqual(await removeImage(machine.store, 'web'), { id: named.id, removed: true });
    assert.deepEqual(await removeImage(machine.store, other.id.slice(0, 8)), { id: other.id, removed: true });
    assert.deepEqual(storeContents(machine.store), { images: [], workspaces: [], other: [] });
    assert.deepEqual([...imageNames(machine.store)], []);
    await rejectsWith(removeImage(machine.store, 'web'), 'image-not-found');
    await rejectsWith(removeImage(machine.store, machine.directory), 'image-not-in-store');
  });

  it('an image that got a name since it was looked for is not removed', async (context) => {
    const machine = testMachine(context);
    const { named, other } = await twoImages(machine);
    await nameImage(machine.store, 'late', other.id);
    assert.deepEqual(await discardImage(machine.store, other.id), { users: [], names: ['late'] });
    assert.deepEqual(await discardImage(machine.store, named.id, 'another'), { users: [], names: ['web'] });
    assert.deepEqual(storeContents(machine.store).images, [named.id, other.id].sort());
    assert.equal(await discardImage(machine.store, named.id, 'web'), undefined);
    // As it is where two processes remove it at once.
    assert.equal(await discardImage(machine.store, named.id, 'web'), undefined);
    assert.deepEqual(storeContents(machine.store), { images: [other.id], workspaces: [], other: [] });
  });

  it('an image that gets a name while it is removed comes back', async (context) => {
    const machine = testMachine(context);
    const { named, other } = await twoImages(machine);
    const nameAfterMove = (id: string) => {
      const { rename } = promises;
      promises.rename = async (from, to) => {
        await rename(from, to);
        if (from === join(machine.store, id)) symlinkSync(join('..', id), join(machine.store, '.names', `late-${id}`));
      };
      syncBuiltinESMExports();
      return () => {
        promises.rename = rename;
        syncBuiltinESMExports();
      };
    };
    for (const remove of [
      async () => assert.deepEqual((await pruneImages(machine.store)).images, []),
      () => rejectsWith(removeImage(machine.store, other.id), 'image-has-names', /late-/),
    ]) {
      const restore = nameAfterMove(other.id);
      await remove().finally(restore);
      assert.deepEqual(imageNames(machine.store).get(other.id), [`late-${other.id}`]);
      assert.deepEqual(await verifyImage(imageRef(other.id, machine.store)), []);
      rmSync(join(machine.store, '.names', `late-${other.id}`));
    }
    const restore = nameAfterMove(named.id);
    assert.deepEqual(await removeImage(machine.store, 'web').finally(restore), { id: named.id, removed: false });
    assert.deepEqual(imageNames(machine.store).get(named.id), [`late-${named.id}`]);
  });

  it('prune removes names, answers and workspaces that nothing needs', async (context) => {
    const machine = testMachine(context);
    const { named } = await twoImages(machine);
    rmSync(named.directory, { recursive: true });
    const dead = join(machine.store, `.build-${ownerTag().split('-').slice(0, 2).join('-')}-999999999-1-abcdef01`);
    mkdirSync(dead);
    assert.deepEqual((await pruneImages(machine.store, { dryRun: true })).workspaces, [dead]);
    assert.ok(existsSync(dead));
    assert.deepEqual((await pruneImages(machine.store)).workspaces, [dead]);
    assert.deepEqual(readdirSync(join(machine.store, '.names')), []);
    assert.deepEqual(readdirSync(join(machine.store, '.index')), []);
    assert.deepEqual(storeContents(machine.store), { images: [], workspaces: [], other: [] });
  });
});

describe('verify', () => {
  it('finds a changed byte anywhere', async (context) => {
    const machine = testMachine(context);
    const { id, directory } = await createImage(machine.options);
    const ref = imageRef(id, machine.store);
    assert.deepEqual(await verifyImage(ref), []);
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      const whole = readFileSync(path);
      // Every byte of the manifest; of the other files some, the first and the last among them.
      const step = name === 'manifest.json' ? 1 : Math.ceil(whole.length / 40);
      for (let at = 0; at < whole.length + step; at += step) {
        const position = Math.min(at, whole.length - 1);
        writeFileSync(path, flipByte(whole, position, 1));
        const damage = await verifyImage(ref);
        assert.equal(damage[0]?.file, name, `${name}, byte ${position}`);
      }
      for (const changed of [whole.subarray(0, -1), Buffer.concat([whole, Buffer.from(' ')])]) {
        writeFileSync(path, changed);
        assert.equal((await verifyImage(ref))[0]?.file, name);
      }
      renameSync(path, `${path}-away`);
      assert.notDeepEqual(await verifyImage(ref), []);
      rmSync(`${path}-away`);
      writeFileSync(path, whole);
    }
    assert.deepEqual(await verifyImage(ref), []);
    writeFileSync(join(directory, 'extra'), '');
    assert.deepEqual(await verifyImage(ref), [{ file: 'extra', problem: 'it is not part of the image' }]);
  });

  it('finds an image under the name of another', async (context) => {
    const machine = testMachine(context);
    const { named, other } = await twoImages(machine);
    rmSync(other.directory, { recursive: true });
    renameSync(named.directory, other.directory);
    assert.match((await verifyImage(imageRef(other.id, machine.store)))[0]?.problem ?? '', /belongs to the image/);
  });
});

describe('diff', () => {
  const about = (list: ReturnType<typeof differences>) => list.map(({ about, what }) => `${about}: ${what}`);

  it('is empty for the same image, built twice', async (context) => {
    const machine = testMachine(context);
    const a = await createImage({ ...machine.options, output: join(machine.directory, 'a') });
    const initrd = await readInitrd(a.directory);
    assert.deepEqual(differences(initrd, await readInitrd(join(machine.directory, 'a'))), []);
  });

  it('covers kernel, init, modules, their order, sets and sizes', async (context) => {
    const machine = testMachine(context);
    const a = await readInitrd((await createImage(machine.options)).directory);
    writeFileSync(machine.kernel, makeKernel(VERSION, 'gzip', { textSize: 128 << 10 }));
    writeFileSync(machine.init, Buffer.concat([readFileSync(machine.init), Buffer.from('more')]));
    const sets = [...machine.options.sets].reverse();
    const b = await readInitrd((await createImage({ ...machine.options, sets })).directory);
    const found = about(differences(a, b));
    assert.ok(found.includes('kernel: installed file'), found.join('\n'));
    assert.ok(found.includes('init: init'));
    assert.ok(found.includes('sets: sets'));
    assert.ok(found.includes('size: kernel'));
    assert.ok(found.includes('size: initrd'));
    const fewer = await readInitrd((await createImage({ ...machine.options, sets: ['console'] })).directory);
    assert.ok(about(differences(b, fewer)).some((line) => line.startsWith('modules: ')));
  });
});
