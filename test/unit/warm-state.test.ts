/** What a saved machine is valid for: where one fact has changed it is not gone on from, and what it was is said. No machine is booted for it. */

import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type ConfigOptions, configFromOptions } from '../../src/config/options.js';
import { type BootImage, resolveImage } from '../../src/image/index.js';
import { INITRD_NAME } from '../../src/image/manifest.js';
import { WARM_MEMORY, WARM_STATE, type WarmImage } from '../../src/image/warm.js';
import { publishWarm, type WarmFacts } from '../../src/image/warm-publish.js';
import { connectEmbedded } from '../../src/libvirt/embedded.js';
import { loadProfile } from '../../src/profile/load.js';
import { findInPath, hostProgram } from '../../src/programs.js';
import { imageChoices } from '../../src/sandbox/image-choices.js';
import { sharesOf } from '../../src/sandbox/shares.js';
import { takeOffer, type WarmRequest, warmOffer } from '../../src/sandbox/warm-find.js';
import { warmHost } from '../../src/sandbox/warm-host.js';
import { machineSignature, type WarmShape, warmCommandLine } from '../../src/sandbox/warm-machine.js';
import { neededSlots } from '../../src/sandbox/warm-slots.js';
import { rejectsWith } from '../helpers/errors.js';
import { makeKernel, packWith } from '../helpers/kernel-files.js';
import { SETS, type TestMachine, testMachine, VERSION } from '../helpers/machines.js';
import { makeModule } from '../helpers/module-trees.js';

const SLOTS = { mounts: 4, disks: 0, networks: 0 };

type Change = (facts: WarmFacts) => Partial<WarmFacts>;

/** A made-up host whose store is that of this process, and an image for which machines can be saved. */
class Host {
  readonly #machine: TestMachine;
  readonly #connection;

  constructor(context: TestContext) {
    this.#machine = testMachine(context);
    const before = process.env['XDG_CACHE_HOME'];
    process.env['XDG_CACHE_HOME'] = join(this.#machine.directory, 'cache');
    context.after(() => {
      if (before === undefined) delete process.env['XDG_CACHE_HOME'];
      else process.env['XDG_CACHE_HOME'] = before;
    });
    this.#connection = connectEmbedded({ cacheDirectory: join(this.#machine.directory, 'libvirt') });
  }

  get directory(): string {
    return this.#machine.directory;
  }

  /** The image that is built now, with the init of this package or another. */
  async image(profileName?: string, nativeInit = hostProgram('init')): Promise<BootImage> {
    const choices = imageChoices(await loadProfile(profileName));
    const { kernel } = await this.#config({});
    return resolveImage({ kernel, sets: SETS, nativeInit, ...choices });
  }

  #config(options: ConfigOptions) {
    const kernel = { kernpath: this.#machine.kernel, kmodpath: join(this.#machine.directory, 'modules') };
    return configFromOptions({ command: ['true'], ...kernel, ...options });
  }

  /** Saves what is no machine, with the record that one would have here, but for `change`. */
  async save(image: BootImage, change: Change = () => ({})): Promise<WarmImage> {
    const shape: WarmShape = {
      memory: 512 << 20,
      vcpus: 1,
      acceleration: 'tcg',
      profile: await loadProfile(undefined),
      slots: SLOTS,
    };
    const { memory, vcpus, acceleration, slots } = shape;
    const facts: WarmFacts = {
      image: image.id,
      sets: image.manifest.sets,
      ...{ memory, vcpus, acceleration, slots },
      machine: machineSignature(shape),
      kernelArguments: warmCommandLine(shape),
      host: await warmHost(this.#connection),
      owner: process.geteuid?.() ?? 0,
      ready: {},
    };
    return publishWarm(image.directory, async (directory) => {
      for (const name of [WARM_MEMORY, WARM_STATE]) await writeFile(join(directory, name), name);
      return { ...facts, ...change(facts) };
    });
  }

  /** What becomes of a start: the saved machine that is gone on from, if any, and what is said. */
  async start(
    options: ConfigOptions = {},
    profileName?: string,
  ): Promise<{ warm: string | undefined; said: string[] }> {
    const config = await this.#config(options);
    const shares = sharesOf(config, { kind: 'session', readOnlyVirtiofs: false }, '').map(
      (share) => ({ ...share, transport: '9p' }) as const,
    );
    const said: string[] = [];
    const request: WarmRequest = {
      config,
      shares,
      profile: await loadProfile(profileName),
      needs: { slots: neededSlots(config, shares, new Map()), sets: SETS },
      image: undefined,
      options: { onChoice: (sentence) => said.push(sentence), profile: profileName },
    };
    const offer = await warmOffer(request);
    const image = offer.image ?? (await this.image(profileName));
    const choice = await takeOffer(offer, request, image, 'tcg', this.#connection);
    return { warm: choice?.warm.directory, said };
  }

  /** Expects a start to pass `warm` over for this reason, and one that insists on a saved machine to fail with it. */
  async assertPassedOver({ directory }: WarmImage, reason: string, options: ConfigOptions = {}, profileName?: string) {
    const why = reason.replace('IMAGE', `the warm image ${directory}`);
    assert.deepEqual(await this.start(options, profileName), { warm: undefined, said: [`boot: cold, because ${why}`] });
    const error = await rejectsWith(this.start({ ...options, boot: 'warm' }, profileName), 'warm-image-missing');
    assert.equal(error.message, `no warm image serves this sandbox: ${why}`);
    assert.match(error.remedy, /^bake one with: virt-sandbox-bake create --warm --kernpath \S+ --kmodpath \S+/);
  }

  changeKernel(): void {
    writeFileSync(this.#machine.kernel, makeKernel(VERSION, 'gzip', { textSize: 128 << 10 }));
  }

  changeModule(): void {
    const path = join(this.#machine.tree, 'kernel/fs/9p/9p.ko.gz');
    writeFileSync(path, packWith('gzip', makeModule('fs/9p/9p.ko, another', VERSION)));
  }

  /** Whatever is built with it has another init than this package's. */
  get otherInit(): string {
    return this.#machine.init;
  }
}

const host =
  (name: string): Change =>
  ({ host }) => {
    assert.ok(host[name] !== undefined, `${name} is not among the facts`);
    return { host: { ...host, [name]: `${host[name]}0` } };
  };

/** What a fact of the record is changed to, and what is said of it. */
const CHANGES: readonly (readonly [fact: string, Change, reason: string])[] = [
  ['QEMU', host('QEMU'), 'IMAGE is stale: QEMU changed'],
  ['libvirt', host('libvirt'), 'IMAGE is stale: libvirt changed'],
  ['the host’s processor', host("the host's processor"), "IMAGE is stale: the host's processor changed"],
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
  ['the memory', () => ({ memory: 256 << 20 }), 'no warm image has just this memory and these processors'],
  ['the processors', () => ({ vcpus: 2 }), 'no warm image has just this memory and these processors'],
];

const profile = await loadProfile(undefined);

/** The machine of a record, but that its kernel was told something else. */
function argumentsOnly(kernelArguments: string): Partial<WarmFacts> {
  const shape: WarmShape = { memory: 512 << 20, vcpus: 1, acceleration: 'tcg', profile, slots: SLOTS };
  return { kernelArguments, machine: machineSignature(shape, kernelArguments) };
}

const unlessDriver = findInPath('virt-qemu-run') ? false : 'virt-qemu-run is not installed';

describe('a saved machine', { skip: unlessDriver }, () => {
  it('of which nothing has changed is gone on from', async (context) => {
    const here = new Host(context);
    const { directory } = await here.save(await here.image());
    for (const boot of ['auto', 'warm'] as const)
      assert.deepEqual(await here.start({ boot }), { warm: directory, said: [`boot: warm, from ${directory}`] });
  });

  for (const [fact, change, reason] of CHANGES) {
    it(`is stale by ${fact}`, async (context) => {
      const here = new Host(context);
      await here.assertPassedOver(await here.save(await here.image(), change), reason);
    });
  }

  it('is stale when QEMU is replaced', async (context) => {
    const here = new Host(context);
    const warm = await here.save(await here.image());
    const before = process.env['PATH'];
    context.after(() => {
      process.env['PATH'] = before;
    });
    // It is never run.
    copyFileSync('/bin/true', join(here.directory, 'qemu-system-x86_64'));
    process.env['PATH'] = `${here.directory}:${before}`;
    await here.assertPassedOver(warm, 'IMAGE is stale: QEMU changed');
  });

  it('is stale when the kernel or a module is replaced', async (context) => {
    const here = new Host(context);
    const warm = await here.save(await here.image());
    here.changeModule();
    await here.assertPassedOver(warm, 'IMAGE is stale: a module changed');
    here.changeKernel();
    await here.assertPassedOver(warm, 'IMAGE is stale: the kernel and a module changed');
  });

  it('is stale when its image has another init', async (context) => {
    const here = new Host(context);
    const warm = await here.save(await here.image(undefined, here.otherInit));
    await here.assertPassedOver(warm, 'IMAGE is stale: the init changed');
  });

  it('is passed over where it cannot be told any more what it was made of', async (context) => {
    const here = new Host(context);
    const image = await here.image();
    const warm = await here.save(image);
    here.changeModule();
    rmSync(join(image.directory, INITRD_NAME));
    await here.assertPassedOver(warm, 'IMAGE is of another boot image');
  });

  it('is for one profile', async (context) => {
    const here = new Host(context);
    const warm = await here.save(await here.image());
    const reason = 'IMAGE is stale: the kernel arguments and the machine changed';
    await here.assertPassedOver(warm, reason, {}, 'compatible');
  });

  it('is passed over when a file is damaged, and gone on from when it only looks changed', async (context) => {
    const here = new Host(context);
    const warm = await here.save(await here.image());
    for (const name of [WARM_MEMORY, WARM_STATE]) {
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

  it('of a damaged record is none', async (context) => {
    const here = new Host(context);
    const warm = await here.save(await here.image());
    const path = join(warm.directory, 'warm.json');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('"vcpus":1', '"vcpus":2'));
    await here.assertPassedOver(warm, 'there is no warm image');
  });
});

describe('the command that bakes what is missing', { skip: unlessDriver }, () => {
  it('has the kernel, the processors and the profile that were asked for', async (context) => {
    const here = new Host(context);
    const options = { boot: 'warm', vcpus: '2', memory: '1G', accel: 'tcg' } as const;
    const { remedy } = await rejectsWith(here.start(options, 'compatible'), 'warm-image-missing');
    assert.ok(remedy.endsWith(` --for '--memory 1024M --vcpus 2 --accel tcg --profile compatible'`), remedy);
  });
});
