/**
 * Snapshots that are not valid any more: what virt-sandbox-bake reports, and which it removes. No machine is booted.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { storedImages } from '../../../../src/image/inspect/inventory.js';
import { removeSnapshots } from '../../../../src/image/remove/remove-snapshots.js';
import { resolveImage } from '../../../../src/image/resolve.js';
import { SNAPSHOT_STATE, type Snapshot, snapshotDirectoriesOf } from '../../../../src/image/snapshot/record.js';
import { leaseDirectory } from '../../../../src/image/store/lease.js';
import { nameImage } from '../../../../src/image/store/names.js';
import { loadProfile } from '../../../../src/profile/load.js';
import { imageChoices } from '../../../../src/sandbox/image-choices.js';
import { machineSignature } from '../../../../src/sandbox/snapshot/machine.js';
import { hostProgram } from '../../../../src/util/programs.js';
import { bakeJson, runBake } from '../../../helpers/bake.js';
import { unlessServingKernel } from '../../../helpers/kernels.js';
import { leaseFor } from '../../../helpers/leases.js';
import { SETS } from '../../../helpers/machines.js';
import { assertRun } from '../../../helpers/run.js';
import { type Change, defaultShape, SnapshotHost, unlessDriver } from '../../../helpers/snapshot-hosts.js';

const shape = await defaultShape();

/** A record with that many slots for mounts, and with this change. */
const machine =
  (mounts: number, change: Change = () => ({})): Change =>
  (facts) => {
    const slots = { ...shape.slots, mounts };
    return { slots, machine: machineSignature({ ...shape, slots }), ...change(facts) };
  };

const otherQemu: Change = ({ host }) => ({ host: { ...host, QEMU: 'another' } });

/** Four snapshots of one image: valid, of another QEMU, of another machine, with a damaged state. */
async function four(context: TestContext) {
  const here = new SnapshotHost(context);
  const image = await here.image();
  const valid = await here.save(image, machine(1));
  const qemu = await here.save(image, machine(2, otherQemu));
  const other = await here.save(
    image,
    machine(3, () => ({ machine: 'another' })),
  );
  const damaged = await here.save(image, machine(4));
  damage(damaged);
  // This process has leased the image and would keep it.
  const leases = leaseDirectory(here.store);
  for (const name of readdirSync(leases)) rmSync(join(leases, name));
  return { here, image, valid, stale: [qemu, other, damaged] };
}

function damage({ directory }: Snapshot): void {
  rmSync(join(directory, SNAPSHOT_STATE));
  writeFileSync(join(directory, SNAPSHOT_STATE), 'nonsense');
}

const REASONS = ['QEMU changed', 'the machine changed', 'its file state is not what it was'];

interface Listed {
  readonly warm: readonly {
    readonly slots: { readonly mounts: number };
    readonly state: string;
    readonly reason?: string;
  }[];
}

/** State and reason of each snapshot of the only image, ordered by slots. */
async function states(here: SnapshotHost): Promise<(string | undefined)[][]> {
  const [image] = (await bakeJson<Listed[]>(here.cache, ['list'])).filter(({ warm }) => warm.length > 0);
  const machines = [...(image?.warm ?? [])].sort((a, b) => a.slots.mounts - b.slots.mounts);
  return machines.map(({ state, reason }) => (reason === undefined ? [state] : [state, reason]));
}

const UNKNOWN = ['unknown', 'the kernel, a module or the init may have changed'];

describe('list and show', { skip: unlessDriver }, () => {
  it('name each stale or damaged snapshot with the reason', async (context) => {
    const { here, image, stale } = await four(context);
    assert.deepEqual(await states(here), [
      ['valid'],
      ['stale', REASONS[0]],
      ['stale', REASONS[1]],
      ['damaged', REASONS[2]],
    ]);
    const { out } = await runBake(here.cache, ['list']);
    assert.match(out, /512 MiB, mounts=1, \d+\.\d kB[;\s]/);
    assert.match(out, /512 MiB, mounts=2, \d+\.\d kB, stale: QEMU changed[;\s]/);
    const shown = (await runBake(here.cache, ['show', image.id])).out;
    assert.match(
      shown,
      new RegExp(`^${basename(stale[2]?.directory ?? '')} .* damaged: its file state is not what it was$`, 'm'),
    );
    assert.match(shown, /^\S+ +512 MiB +1 +tcg +mounts=1 .* valid$/m);
  });

  it('do not build the boot image to compare it', async (context) => {
    const here = new SnapshotHost(context);
    await here.save(await here.image(), machine(1));
    here.touchKernel();
    assert.deepEqual(await states(here), [UNKNOWN]);
    // A start compares it.
    assert.ok((await here.start()).warm !== undefined);
    assert.deepEqual(await states(here), [['valid']]);
    assert.deepEqual((await storedImages(here.store)).length, 1);
  });

  it('know from the last start what is built now', { skip: unlessServingKernel }, async (context) => {
    const here = new SnapshotHost(context);
    const image = await here.image();
    await here.save(image, machine(1));
    here.changeKernel();
    const kernel = { version: undefined, path: undefined, modulesPath: undefined };
    const choices = imageChoices(await loadProfile('default'));
    await resolveImage({ kernel, sets: SETS, nativeInit: hostProgram('init'), ...choices });
    assert.deepEqual(await states(here), [['stale', 'the kernel and a module changed']]);
    // An image with a name is used by its name, whatever would be built.
    await nameImage(here.store, 'web', image.id);
    assert.deepEqual(await states(here), [['valid']]);
  });
});

/** Another process that uses the image. */
function userOf(context: TestContext, here: SnapshotHost, id: string): () => Promise<void> {
  const user = spawn('sleep', ['1000']);
  const ended = once(user, 'exit');
  context.after(() => user.kill('SIGKILL'));
  leaseFor(here.store, id, user.pid ?? 0);
  return async () => {
    user.kill('SIGKILL');
    await ended;
  };
}

describe('rm --warm', { skip: unlessDriver }, () => {
  it('removes the snapshots of an image, and keeps image and name', async (context) => {
    const { here, image } = await four(context);
    await nameImage(here.store, 'web', image.id);
    const { out } = await runBake(here.cache, ['rm', '--warm', 'web']);
    assert.match(out, /^web: 4 snapshots removed, \d+\.\d kB\n$/);
    assert.deepEqual(snapshotDirectoriesOf(image.directory), []);
    assert.deepEqual(
      (await storedImages(here.store)).map(({ names }) => names),
      [['web']],
    );
    assertRun(await runBake(here.cache, ['verify', 'web']), 0, 'web: whole\n');
    assertRun(await runBake(here.cache, ['rm', '--warm', 'web']), 0, 'web: 0 snapshots removed, 0 B\n');
  });

  it('reports each as JSON, and for each image that it keeps the reason', async (context) => {
    const { here, image, valid, stale } = await four(context);
    const { code, out, stderr } = await runBake(here.cache, ['rm', '--warm', image.id, 'missing', './', '--json']);
    assert.equal(code, 125);
    assert.equal(stderr.trimEnd().split('\n').length, 2);
    const [first, ...others] = JSON.parse(out) as {
      warm: { directory: string; size: number }[];
      error?: { code: string };
    }[];
    const { warm = [], ...rest } = first ?? {};
    assert.deepEqual(rest, { image: image.id, id: image.id, removed: false });
    assert.deepEqual(
      warm.map(({ directory }) => directory).sort(),
      [valid, ...stale].map(({ directory }) => directory).sort(),
    );
    assert.ok(warm.every(({ size }) => size > 0));
    assert.deepEqual(
      others.map(({ error }) => error?.code),
      ['image-not-found', 'image-not-in-store'],
    );
  });

  it('runs several times at once without a failure', async (context) => {
    const { here, image } = await four(context);
    await Promise.all(Array.from({ length: 4 }, () => removeSnapshots(here.store, image.id)));
    assert.deepEqual(snapshotDirectoriesOf(image.directory), []);
  });

  it('removes nothing that is in use', async (context) => {
    const { here, image } = await four(context);
    const end = userOf(context, here, image.id);
    const { code, out, stderr } = await runBake(here.cache, ['rm', '--warm', image.id]);
    assert.deepEqual({ code, out }, { code: 125, out: '' });
    assert.match(stderr, /^virt-sandbox-bake: image: image \w+ is in use by process \d+; end that sandbox first\n$/);
    assert.equal(snapshotDirectoriesOf(image.directory).length, 4);
    await end();
    assert.equal((await runBake(here.cache, ['rm', '--warm', image.id])).code, 0);
    assert.deepEqual(snapshotDirectoriesOf(image.directory), []);
  });
});

describe('prune --stale', { skip: unlessDriver }, () => {
  it('lists the snapshots that no sandbox can restore, removes them, and keeps all else', async (context) => {
    const { here, image, valid, stale } = await four(context);
    const broken = await here.save(image, machine(5));
    writeFileSync(join(broken.directory, 'warm.json'), 'nonsense');
    const without = await here.save(image, machine(6));
    rmSync(join(without.directory, 'warm.json'));
    const gone = [...stale, broken, without].map(({ directory }) => directory);
    const noRecord = 'its record is damaged, or of another version';
    const reasons = [...REASONS, noRecord, noRecord];
    for (const dryRun of [true, false]) {
      const args = ['prune', '--stale', ...(dryRun ? ['--dry-run'] : [])];
      const { warm, freed, ...rest } = await bakeJson<{
        warm: { directory: string; size: number; image: string; reason: string }[];
        freed: number;
      }>(here.cache, args);
      assert.deepEqual(rest, { dryRun, images: [], workspaces: [] });
      assert.equal(
        freed,
        warm.reduce((sum, { size }) => sum + size, 0),
      );
      const found = new Map(warm.map((one) => [one.directory, one]));
      assert.deepEqual(
        gone.map((directory) => found.get(directory)?.reason),
        reasons,
      );
      assert.ok(warm.every((one) => one.image === image.id && one.size > 0));
      assert.equal(warm.length, gone.length);
      assert.deepEqual(
        gone.map(existsSync),
        gone.map(() => dryRun),
      );
    }
    assert.deepEqual(snapshotDirectoriesOf(image.directory), [valid.directory]);
    assertRun(await runBake(here.cache, ['prune', '--stale']), 0, '0 snapshots removed, 0 B\n');
  });

  it('keeps snapshots in use, recently used ones, and ones that may be valid', async (context) => {
    const { here, image, stale } = await four(context);
    const prune = async (...args: string[]) => (await runBake(here.cache, ['prune', '--stale', ...args])).out;
    const end = userOf(context, here, image.id);
    assert.equal(await prune(), '0 snapshots removed, 0 B\n');
    await end();
    assert.equal(await prune('--older-than', '1h'), '0 snapshots removed, 0 B\n');
    here.touchKernel();
    assert.deepEqual((await states(here))[0], UNKNOWN);
    const lines = (await prune()).trimEnd().split('\n');
    assert.equal(lines.length, stale.length + 1);
    assert.match(lines.at(-1) ?? '', /^3 snapshots removed, \d+\.\d kB$/);
    assert.ok(
      lines.some((line) => /^\S+: removed, \d+\.\d kB, QEMU changed$/.test(line)),
      lines.join('\n'),
    );
    assert.deepEqual(await states(here), [UNKNOWN]);
  });
});
