/**
 * When a snapshot is valid: after one changed fact it is not restored, and the reason names the fact. No machine is
 * booted.
 */

import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { INITRD_NAME } from '../../../../src/image/manifest.js';
import type { SnapshotFacts } from '../../../../src/image/snapshot/publish.js';
import { SNAPSHOT_MEMORY, SNAPSHOT_STATE } from '../../../../src/image/snapshot/record.js';
import { RATE_FACT } from '../../../../src/sandbox/snapshot/host.js';
import { hostNeeds } from '../../../../src/sandbox/snapshot/host-needs.js';
import { machineSignature } from '../../../../src/sandbox/snapshot/machine.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { SETS } from '../../../helpers/machines.js';
import { type Change, defaultShape, SnapshotHost, unlessDriver } from '../../../helpers/snapshot-hosts.js';

const host =
  (name: string): Change =>
  ({ host }) => {
    assert.ok(host[name] !== undefined, `${name} is not among the facts`);
    return { host: { ...host, [name]: `${host[name]}0` } };
  };

const hostWithout =
  (name: string): Change =>
  ({ host: { [name]: _fact, ...others } }) => ({ host: others });

/** The snapshot was made where the counter of cycles is faster by this share. */
const rate =
  (share: number): Change =>
  ({ host }) => {
    const here = Number(host[RATE_FACT]);
    assert.ok(here > 0, 'this host has no rate');
    return { host: { ...host, [RATE_FACT]: (here * (1 + share)).toFixed(2) } };
  };

/** A changed fact of the record, and the reason that the sandbox gives. */
const CHANGES: readonly (readonly [fact: string, Change, reason: string])[] = [
  ['QEMU', host('QEMU'), 'IMAGE is stale: QEMU changed'],
  ['libvirt', host('libvirt'), 'IMAGE is stale: libvirt changed'],
  ['the host’s processor', host("the host's processor"), "IMAGE is stale: the host's processor changed"],
  ['a rate that is faster', rate(0.01), "IMAGE is stale: the rate of the host's processor changed"],
  ['a rate that is slower', rate(-0.01), "IMAGE is stale: the rate of the host's processor changed"],
  [
    'QEMU and libvirt',
    (facts) => ({ host: { ...host('QEMU')(facts).host, libvirt: '' } }),
    'IMAGE is stale: QEMU and libvirt changed',
  ],
  ['the machine', () => ({ machine: 'another' }), 'IMAGE is stale: the machine changed'],
  [
    'the kernel arguments',
    ({ kernelArguments }) => argumentsOnly(`${kernelArguments} nosmp`),
    'IMAGE is stale: the kernel arguments changed',
  ],
  [
    'the kernel arguments and the machine',
    () => ({ kernelArguments: 'quiet', machine: 'another' }),
    'IMAGE is stale: the kernel arguments and the machine changed',
  ],
  [
    'either, in a record of an earlier version',
    () => ({ kernelArguments: undefined, machine: 'another' }),
    'IMAGE is stale: the kernel arguments or the machine changed',
  ],
  ['the acceleration', () => ({ acceleration: 'kvm' }), 'IMAGE was baked under kvm'],
  ['the memory', () => ({ memory: 256 << 20 }), 'no snapshot has just this memory and these processors'],
  ['the processors', () => ({ vcpus: 2 }), 'no snapshot has just this memory and these processors'],
];

const shape = await defaultShape();

/** The machine of a record with other kernel arguments. */
function argumentsOnly(kernelArguments: string): Partial<SnapshotFacts> {
  return { kernelArguments, machine: machineSignature(shape, kernelArguments) };
}

describe('a snapshot', { skip: unlessDriver }, () => {
  it('is restored when nothing has changed', async (context) => {
    const here = new SnapshotHost(context);
    const { directory } = await here.save(await here.image());
    for (const boot of ['auto', 'warm'] as const)
      assert.deepEqual(await here.start({ boot }), { warm: directory, said: [`boot: warm, from ${directory}`] });
  });

  for (const [fact, change, reason] of CHANGES) {
    it(`is stale by ${fact}`, async (context) => {
      const here = new SnapshotHost(context);
      await here.assertPassedOver(await here.save(await here.image(), change), reason);
    });
  }

  it('serves a host that measured the same rate a little otherwise, or that says none', async (context) => {
    const here = new SnapshotHost(context);
    const image = await here.image();
    for (const change of [rate(0.001), rate(-0.001), hostWithout(RATE_FACT)]) {
      const { directory } = await here.save(image, change);
      assert.equal((await here.start({ boot: 'warm' })).warm, directory);
    }
  });

  it('is stale when QEMU is replaced', async (context) => {
    const here = new SnapshotHost(context);
    const warm = await here.save(await here.image());
    const before = process.env['PATH'];
    context.after(() => {
      process.env['PATH'] = before;
    });
    // The stand-in is never run.
    copyFileSync('/bin/true', join(here.directory, 'qemu-system-x86_64'));
    process.env['PATH'] = `${here.directory}:${before}`;
    await here.assertPassedOver(warm, 'IMAGE is stale: QEMU changed');
  });

  it('serves a host that has the same QEMU in another file, and no host that has another QEMU', async (context) => {
    const here = new SnapshotHost(context);
    const image = await here.image();
    const needs = await hostNeeds();
    const moved = await here.save(image, (facts) => ({ ...host('QEMU')(facts), needs }));
    assert.equal((await here.start({ boot: 'warm' })).warm, moved.directory);
    const QEMU = { text: 'QEMU 1.0', sha256: '0'.repeat(64) };
    const foreign = await here.save(image, (facts) => ({ ...host('QEMU')(facts), needs: { ...needs, QEMU } }));
    await here.assertPassedOver(foreign, 'IMAGE is stale: QEMU changed');
  });

  it('says in words what a host must have', async () => {
    const texts = Object.values(await hostNeeds()).map(({ text }) => text);
    assert.equal(texts.length, 4);
    assert.match(texts.join('; '), /^QEMU \d+\.\d+\.\d+; libvirt \d+\.\d+\.\d+; .+, family \d+, model \d+, /);
    assert.match(texts.join('; '), /, stepping \S+, with the same \d+ features; a counter of \d+ MHz, within 0\.5 %$/);
  });

  it('is stale when the kernel or a module is replaced', async (context) => {
    const here = new SnapshotHost(context);
    const warm = await here.save(await here.image());
    here.changeModule();
    await here.assertPassedOver(warm, 'IMAGE is stale: a module changed');
    here.changeKernel();
    await here.assertPassedOver(warm, 'IMAGE is stale: the kernel and a module changed');
  });

  it('is stale when its image has another init', async (context) => {
    const here = new SnapshotHost(context);
    const warm = await here.save(await here.image(undefined, here.otherInit));
    await here.assertPassedOver(warm, 'IMAGE is stale: the init changed');
  });

  it('is passed over when its inputs cannot be checked any more', async (context) => {
    const here = new SnapshotHost(context);
    const image = await here.image();
    const warm = await here.save(image);
    here.changeModule();
    rmSync(join(image.directory, INITRD_NAME));
    await here.assertPassedOver(warm, 'IMAGE is stale: it is of another boot image');
  });

  it('is for one profile', async (context) => {
    const here = new SnapshotHost(context);
    const warm = await here.save(await here.image());
    const reason = 'IMAGE is stale: the kernel arguments and the machine changed';
    await here.assertPassedOver(warm, reason, {}, 'compatible');
  });

  it('is passed over when a file is damaged, and restored when only its metadata has changed', async (context) => {
    const here = new SnapshotHost(context);
    const warm = await here.save(await here.image());
    for (const name of [SNAPSHOT_MEMORY, SNAPSHOT_STATE]) {
      const path = join(warm.directory, name);
      const copy = join(here.directory, 'copy');
      copyFileSync(path, copy);
      rmSync(path);
      copyFileSync(copy, path);
      assert.equal((await here.start()).warm, warm.directory);
      truncateSync(path, 3);
      await here.assertPassedOver(warm, `IMAGE is damaged: its file ${name} is not what it was`);
      rmSync(path);
      copyFileSync(copy, path);
    }
  });

  it('is followed by other valid ones, each offered once', async (context) => {
    const here = new SnapshotHost(context);
    const image = await here.image();
    const withMounts = (mounts: number): Change => {
      const slots = { ...shape.slots, mounts };
      const machine = machineSignature({ ...shape, slots });
      return (facts) => ({ slots, machine, ...(mounts === 2 ? host('QEMU')(facts) : {}) });
    };
    const found = [];
    for (const mounts of [3, 1, 2, 4]) await here.save(image, withMounts(mounts));
    for (let choice = await here.choose(); choice; choice = await choice.next()) {
      assert.equal(choice.image.id, image.id);
      found.push(choice.record.slots.mounts);
    }
    // The one with two mounts is stale.
    assert.deepEqual(found, [1, 3, 4]);
  });

  it('is found behind a stale one where it is demanded, though the store has forgotten its image', async (context) => {
    const here = new SnapshotHost(context);
    here.addModule('fs/overlayfs/overlay.ko');
    const image = await here.image(undefined, undefined, [...SETS, 'overlay']);
    await here.save(await here.image(), host('QEMU'));
    const { directory } = await here.save(image);
    assert.equal((await here.start()).warm, directory);
    rmSync(join(here.store, '.index'), { recursive: true });
    assert.equal((await here.start()).warm, undefined);
    rmSync(join(here.store, '.index'), { recursive: true });
    assert.equal((await here.start({ boot: 'warm' })).warm, directory);
  });

  it('is found behind one whose boot image cannot be built any more', async (context) => {
    const here = new SnapshotHost(context);
    here.addModule('fs/erofs/erofs.ko');
    // It comes first, since it has fewer slots.
    const slots = { ...shape.slots, mounts: 1 };
    const old = await here.image(undefined, undefined, [...SETS, 'filesystem-erofs']);
    const first = await here.save(old, () => ({ slots, machine: machineSignature({ ...shape, slots }) }));
    assert.equal((await here.start()).warm, first.directory);
    // The next kernel has no EROFS.
    here.addModule('fs/overlayfs/overlay.ko');
    const { directory } = await here.save(await here.image(undefined, undefined, [...SETS, 'overlay']));
    rmSync(join(here.store, '.index'), { recursive: true });
    assert.equal((await here.start()).warm, directory);
  });

  it('with a damaged record is ignored', async (context) => {
    const here = new SnapshotHost(context);
    const warm = await here.save(await here.image());
    const path = join(warm.directory, 'warm.json');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('"vcpus":1', '"vcpus":2'));
    await here.assertPassedOver(warm, 'there is no snapshot');
  });
});

describe('the command that bakes a missing snapshot', { skip: unlessDriver }, () => {
  it('has the kernel, the processors and the profile that were asked for', async (context) => {
    const here = new SnapshotHost(context);
    const options = { boot: 'warm', vcpus: '2', memory: '1G', accel: 'tcg' } as const;
    const { remedy } = await rejectsWith(here.start(options, 'compatible'), 'warm-image-missing');
    assert.ok(
      remedy.endsWith(` --for '--memory 1024M --vcpus 2 --accel tcg --root-fs 9p --profile compatible'`),
      remedy,
    );
  });
});
