/** Snapshots as files of an image: publishing, listing, comparing, verifying, sweeping. No machine is booted. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { createImage } from '../../../../src/image/create-ahead.js';
import { storedImages } from '../../../../src/image/inspect/inventory.js';
import { verifyImage } from '../../../../src/image/inspect/verify.js';
import { pruneImages } from '../../../../src/image/remove/prune.js';
import { publishSnapshot, type SnapshotFacts } from '../../../../src/image/snapshot/publish.js';
import {
  changedFiles,
  SNAPSHOT_EMPTY,
  SNAPSHOT_MEMORY,
  SNAPSHOT_STATE,
  type Snapshot,
  snapshotDirectoriesOf,
  snapshotsOf,
} from '../../../../src/image/snapshot/record.js';
import { imageRef } from '../../../../src/image/store/open.js';
import { ownerTag } from '../../../../src/image/store/owner.js';
import { bakeJson, runBake } from '../../../helpers/bake.js';
import { flipByte } from '../../../helpers/kernel-files.js';
import { leaseFor } from '../../../helpers/leases.js';
import { testMachine } from '../../../helpers/machines.js';
import { assertRun } from '../../../helpers/run.js';

const MEMORY = 512 << 20;

/** An image `web` in the store of a cache, and a function that publishes a fake snapshot of it. */
async function imageForSnapshots(context: TestContext) {
  const machine = testMachine(context);
  const cache = join(machine.directory, 'cache');
  const store = join(cache, 'virt-sandbox/images');
  const options = { ...machine.options, storeDirectory: store };
  const image = await createImage({ ...options, name: 'web' });
  const publish = (state: string, facts: Partial<SnapshotFacts> = {}): Promise<Snapshot> =>
    publishSnapshot(image.directory, async (directory) => {
      mkdirSync(join(directory, SNAPSHOT_EMPTY));
      await writeFile(join(directory, SNAPSHOT_MEMORY), 'a page');
      await truncate(join(directory, SNAPSHOT_MEMORY), MEMORY);
      await writeFile(join(directory, SNAPSHOT_STATE), state);
      return {
        image: image.id,
        sets: image.manifest.sets,
        memory: MEMORY,
        vcpus: 2,
        acceleration: 'tcg',
        slots: { mounts: 4, disks: 2, networks: 1 },
        machine: 'a machine',
        kernelArguments: 'console=ttyS0 quiet',
        host: {},
        owner: process.geteuid?.() ?? 0,
        ready: {},
        ...facts,
      };
    });
  return { cache, store, image, options, publish };
}

/** Changes a byte of a file, to `to` if given; returns the old value. */
function changeByte(path: string, position: number, to?: number): number {
  const file = openSync(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, position);
    const before = byte[0] ?? 0;
    writeSync(file, Buffer.from([to ?? before ^ 1]), 0, 1, position);
    return before;
  } finally {
    closeSync(file);
  }
}

async function bakeDiff(cache: string, a: string, b: string): Promise<unknown> {
  return JSON.parse((await runBake(cache, ['diff', a, b, '--json'])).out);
}

describe('snapshots', () => {
  it('list and show print what they serve and how large they are', async (context) => {
    const { cache, store, image, publish } = await imageForSnapshots(context);
    assert.deepEqual((await storedImages(store))[0]?.warm, []);
    assert.match((await runBake(cache, ['list'])).out, /^web .* +- +now/m);
    assert.doesNotMatch((await runBake(cache, ['show', 'web'])).out, /WARM/);

    const needs = { QEMU: { text: 'QEMU 1.0', sha256: '0'.repeat(64) }, libvirt: { text: 'libvirt 2.0\u001b' } };
    const { directory } = await publish('x'.repeat(100_000), { needs });
    const [listed] = (await storedImages(store))[0]?.warm ?? [];
    const { size, ...rest } = listed ?? { size: 0 };
    assert.deepEqual(rest, {
      directory,
      memory: MEMORY,
      vcpus: 2,
      acceleration: 'tcg',
      slots: { mounts: 4, disks: 2, networks: 1 },
      kernelArguments: 'console=ttyS0 quiet',
      needs,
    });
    // The memory is one page and holes.
    assert.ok(size > 100_000 && size < 1_000_000, `${size} bytes`);

    assert.match(
      (await runBake(cache, ['list'])).out,
      /^web .* 512 MiB, mounts=4,disks=2,networks=1, \d+\.\d kB +now/m,
    );
    const name = directory.slice(dirname(directory).length + 1);
    assert.match(
      (await runBake(cache, ['show', 'web'])).out,
      new RegExp(
        `^WARM +MEMORY +VCPUS +ACCEL +SLOTS +SIZE +STATE\n${name} +512 MiB +2 +tcg +mounts=4,disks=2,networks=1 +\\d+\\.\\d kB +valid\n\nWARM +KERNEL ARGUMENTS\n${name} +console=ttyS0 quiet\n\nWARM +USABLE ON HOSTS WITH\n${name} +QEMU 1\\.0; libvirt 2\\.0\\\\u\\{1b\\}\n$`,
        'm',
      ),
    );
    const [inList] = await bakeJson<{ warm: unknown }[]>(cache, ['list']);
    assert.deepEqual(inList?.warm, [{ ...listed, state: 'valid' }]);
    assert.deepEqual((await bakeJson<{ warm: unknown; id: string }>(cache, ['show', 'web'])).warm, [
      { ...listed, state: 'valid' },
    ]);
    assertRun(await runBake(cache, ['verify', image.id]), 0, `${image.id}: whole\n`);
  });

  it('a later one for the same machine replaces the first; one for another machine is kept beside it', async (context) => {
    const { publish } = await imageForSnapshots(context);
    const first = await publish('first');
    const second = await publish('second');
    assert.equal(readFileSync(join(second.directory, SNAPSHOT_STATE), 'utf8'), 'second');
    // A path is never reused for another snapshot.
    assert.notEqual(second.directory, first.directory);
    assert.ok(!existsSync(first.directory));
    const other = await publish('other', { slots: { mounts: 1, disks: 0, networks: 0 } });
    const names = [second, other].map(({ directory }) => directory.slice(dirname(directory).length + 1));
    assert.deepEqual(readdirSync(dirname(first.directory)).sort(), names.sort());
  });

  it('can be swept by several processes at once', async (context) => {
    const { store, image, publish } = await imageForSnapshots(context);
    const { directory } = await publish('state');
    const retired = ['a', 'b', 'c'].map((name) => join(dirname(directory), name));
    for (const path of retired) {
      mkdirSync(path);
      writeFileSync(join(path, 'retired.json'), '');
    }
    const swept = await Promise.all(Array.from({ length: 4 }, () => pruneImages(store)));
    assert.deepEqual(swept.flatMap(({ workspaces }) => workspaces).sort(), retired);
    assert.deepEqual(snapshotDirectoriesOf(image.directory), [directory]);
  });

  it('can be entered by the user of QEMU, and listed by nobody, whatever the umask', async (context) => {
    const { publish } = await imageForSnapshots(context);
    const before = process.umask(0o077);
    const { directory } = await publish('state').finally(() => process.umask(before));
    const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8);
    assert.deepEqual([mode(dirname(directory)), mode(directory)], ['755', '711']);
    for (const name of [SNAPSHOT_MEMORY, SNAPSHOT_STATE])
      assert.equal(mode(join(directory, name)), process.geteuid?.() === 0 ? '440' : '400', name);
  });

  it('a replaced one keeps its files until the sandbox that found it is gone, and no other finds it', async (context) => {
    const { store, image, publish } = await imageForSnapshots(context);
    const first = await publish('first');
    const sandbox = spawn('sleep', ['1000']);
    context.after(() => sandbox.kill('SIGKILL'));
    leaseFor(store, image.id, sandbox.pid ?? 0);
    const [found] = snapshotsOf(image.directory);
    assert.equal(found?.directory, first.directory);

    const second = await publish('second');
    // QEMU opens the memory at once, and the state later.
    assert.equal(readFileSync(join(found.directory, SNAPSHOT_STATE), 'utf8'), 'first');
    assert.deepEqual(changedFiles(found), []);
    assert.deepEqual(snapshotsOf(image.directory), [second]);
    assert.deepEqual(await verifyImage(imageRef(image.id, store)), []);
    assert.deepEqual((await pruneImages(store)).workspaces, []);

    const ended = once(sandbox, 'exit');
    sandbox.kill('SIGKILL');
    await ended;
    assert.deepEqual((await pruneImages(store, { dryRun: true })).workspaces, [first.directory]);
    assert.deepEqual((await pruneImages(store)).workspaces, [first.directory]);
    assert.deepEqual(snapshotDirectoriesOf(image.directory), [second.directory]);
  });

  it('diff lists the machines, kernel arguments and devices that differ', async (context) => {
    const { cache, image, publish } = await imageForSnapshots(context);
    const output = join(cache, 'copy');
    await publish('state');
    cpSync(image.directory, output, { recursive: true });
    assertRun(await runBake(cache, ['diff', 'web', output]), 0, '');

    rmSync(join(image.directory, 'warm'), { recursive: true });
    await publish('state', { machine: 'another', kernelArguments: 'console=ttyS0 quiet nosmp' });
    const shape = '512 MiB, vcpus=2, tcg, mounts=4,disks=2,networks=1';
    assertRun(
      await runBake(cache, ['diff', output, 'web']),
      1,
      [
        `arguments: kernel arguments of ${shape}\n  - console=ttyS0 quiet\n  + console=ttyS0 quiet nosmp\n`,
        `warm: ${shape}\n  - a machine of sha256 a machine\n  + a machine of sha256 another\n`,
      ].join(''),
    );

    rmSync(join(image.directory, 'warm'), { recursive: true });
    await publish('state', { memory: 1 << 30, kernelArguments: undefined });
    assert.deepEqual(await bakeDiff(cache, output, 'web'), [
      {
        about: 'warm',
        what: '1024 MiB, vcpus=2, tcg, mounts=4,disks=2,networks=1',
        b: 'a machine of sha256 a machine',
      },
      { about: 'warm', what: shape, a: 'a machine of sha256 a machine' },
    ]);
  });

  it('verify finds a changed byte in any file, missing files, and foreign files', async (context) => {
    const { store, image, publish } = await imageForSnapshots(context);
    const { directory } = await publish('x'.repeat(10_000));
    const ref = imageRef(image.id, store);
    assert.deepEqual(await verifyImage(ref), []);
    const files = async () => (await verifyImage(ref)).map(({ file }) => file);
    const named = (name: string) => join('warm', directory.slice(dirname(directory).length + 1), name);
    for (const name of [SNAPSHOT_STATE, 'warm.json']) {
      const path = join(directory, name);
      const whole = readFileSync(path);
      rmSync(path);
      writeFileSync(path, Buffer.concat([whole, Buffer.from('more\n')]));
      assert.deepEqual(await files(), [named(name)], `${name}, longer`);
      for (const position of [0, Math.floor(whole.length / 2), whole.length - 2]) {
        rmSync(path);
        writeFileSync(path, flipByte(whole, position, 1));
        assert.deepEqual(await files(), [named(name)], `${name}, byte ${position}`);
      }
      rmSync(path);
      assert.deepEqual(await files(), [named(name)], `${name} is missing`);
      writeFileSync(path, whole);
    }
    assert.deepEqual(await files(), []);
    // In a page with data, and in a hole.
    const memory = join(directory, SNAPSHOT_MEMORY);
    chmodSync(memory, 0o600);
    for (const position of [3, 100 << 20, MEMORY - 1]) {
      const before = changeByte(memory, position);
      assert.deepEqual(await files(), [named(SNAPSHOT_MEMORY)], `byte ${position}`);
      changeByte(memory, position, before);
      assert.deepEqual(await files(), []);
    }
    for (const name of ['more', 'empty/more', '../.more']) {
      writeFileSync(join(directory, name), '');
      assert.deepEqual(await verifyImage(ref), [{ file: named(name), problem: 'it is not part of the image' }]);
      rmSync(join(directory, name));
    }
    rmSync(join(directory, SNAPSHOT_MEMORY));
    assert.deepEqual(await verifyImage(ref), [{ file: named(SNAPSHOT_MEMORY), problem: 'it is missing' }]);
    rmSync(directory, { recursive: true });
    writeFileSync(join(image.directory, 'warm-not'), '');
    assert.deepEqual(await files(), ['warm-not']);
  });

  it('verify finds one that was moved into another image', async (context) => {
    const { store, image, publish } = await imageForSnapshots(context);
    await publish('state', { image: 'a'.repeat(32) });
    const [damage] = await verifyImage(imageRef(image.id, store));
    assert.match(damage?.file ?? '', /^warm\/[\w-]+\/warm\.json$/);
    assert.equal(damage?.problem, `it belongs to a snapshot of the image ${'a'.repeat(32)}`);
  });

  it('prune and every create remove the leftovers of a killed baker', async (context) => {
    const { store, image, options, publish } = await imageForSnapshots(context);
    const { directory } = await publish('state');
    const sphere = ownerTag().split('-').slice(0, 2).join('-');
    const dead = join(dirname(directory), `.build-${sphere}-999999999-1-abcdef01`);
    mkdirSync(dead);
    writeFileSync(join(dead, SNAPSHOT_MEMORY), 'half of it');
    assert.deepEqual((await pruneImages(store, { dryRun: true })).workspaces, [dead]);
    assert.ok(existsSync(dead));
    assert.deepEqual(await pruneImages(store), { images: [], workspaces: [dead] });
    assert.deepEqual(readdirSync(join(image.directory, 'warm')).length, 1);
    mkdirSync(dead);
    // This creates another image.
    await createImage({ ...options, sets: ['console'] });
    assert.deepEqual(readdirSync(join(image.directory, 'warm')).length, 1);
  });
});
