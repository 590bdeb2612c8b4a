/** What virt-sandbox-bake says of saved machines that are not valid any more. No machine is booted for it. */

import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { resolveImage } from '../../src/image/index.js';
import { storedImages } from '../../src/image/inventory.js';
import { leaseDirectory } from '../../src/image/lease.js';
import { nameImage } from '../../src/image/names.js';
import { WARM_STATE, type WarmImage } from '../../src/image/warm.js';
import { loadProfile } from '../../src/profile/load.js';
import { hostProgram } from '../../src/programs.js';
import { imageChoices } from '../../src/sandbox/image-choices.js';
import { machineSignature } from '../../src/sandbox/warm-machine.js';
import { bakeJson, runBake } from '../helpers/bake.js';
import { unlessServingKernel } from '../helpers/kernels.js';
import { SETS } from '../helpers/machines.js';
import { type Change, defaultShape, unlessDriver, WarmHost } from '../helpers/warm-hosts.js';

const shape = await defaultShape();

/** With so many places, and this changed. */
const machine =
  (mounts: number, change: Change = () => ({})): Change =>
  (facts) => {
    const slots = { ...shape.slots, mounts };
    return { slots, machine: machineSignature({ ...shape, slots }), ...change(facts) };
  };

const otherQemu: Change = ({ host }) => ({ host: { ...host, QEMU: 'another' } });

/** Four of one image: valid, of another QEMU, of another machine, with a damaged state. */
async function four(context: TestContext) {
  const here = new WarmHost(context);
  const image = await here.image();
  const valid = await here.save(image, machine(1));
  const qemu = await here.save(image, machine(2, otherQemu));
  const other = await here.save(
    image,
    machine(3, () => ({ machine: 'another' })),
  );
  const damaged = await here.save(image, machine(4));
  damage(damaged);
  // This process has taken it, and would hold it.
  const leases = leaseDirectory(here.store);
  for (const name of readdirSync(leases)) rmSync(join(leases, name));
  return { here, image, valid, stale: [qemu, other, damaged] };
}

function damage({ directory }: WarmImage): void {
  rmSync(join(directory, WARM_STATE));
  writeFileSync(join(directory, WARM_STATE), 'nonsense');
}

const REASONS = ['QEMU changed', 'the machine changed', 'its file state is not what it was'];

interface Listed {
  readonly warm: readonly {
    readonly slots: { readonly mounts: number };
    readonly state: string;
    readonly reason?: string;
  }[];
}

/** State and reason of what was saved with the only image, by its places. */
async function states(here: WarmHost): Promise<(string | undefined)[][]> {
  const [image] = (await bakeJson<Listed[]>(here.cache, ['list'])).filter(({ warm }) => warm.length > 0);
  const machines = [...(image?.warm ?? [])].sort((a, b) => a.slots.mounts - b.slots.mounts);
  return machines.map(({ state, reason }) => (reason === undefined ? [state] : [state, reason]));
}

const UNKNOWN = ['unknown', 'the kernel, a module or the init may have changed'];

describe('list and show', { skip: unlessDriver }, () => {
  it('say which saved machines are stale or damaged, and why', async (context) => {
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

  it('build nothing to find out whether the boot image is what would be built', async (context) => {
    const here = new WarmHost(context);
    await here.save(await here.image(), machine(1));
    here.touchKernel();
    assert.deepEqual(await states(here), [UNKNOWN]);
    // A start looks.
    assert.ok((await here.start()).warm !== undefined);
    assert.deepEqual(await states(here), [['valid']]);
    assert.deepEqual((await storedImages(here.store)).length, 1);
  });

  it('know what is built now from the last start', { skip: unlessServingKernel }, async (context) => {
    const here = new WarmHost(context);
    const image = await here.image();
    await here.save(image, machine(1));
    here.changeKernel();
    const kernel = { version: undefined, path: undefined, modulesPath: undefined };
    const choices = imageChoices(await loadProfile('default'));
    await resolveImage({ kernel, sets: SETS, nativeInit: hostProgram('init'), ...choices });
    assert.deepEqual(await states(here), [['stale', 'the kernel and a module changed']]);
    // One that has a name is used by it, whatever would be built.
    await nameImage(here.store, 'web', image.id);
    assert.deepEqual(await states(here), [['valid']]);
  });
});
