/** Fake hosts with fake snapshots: they show without a boot which snapshot a sandbox would start from. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ConfigOptions, configFromOptions } from '../../src/config/options.js';
import { type BootImage, defaultStoreDirectory, resolveImage } from '../../src/image/resolve.js';
import { publishSnapshot, type SnapshotFacts } from '../../src/image/snapshot/publish.js';
import { SNAPSHOT_MEMORY, SNAPSHOT_STATE, type Snapshot } from '../../src/image/snapshot/record.js';
import { hasAnswer } from '../../src/image/store/lookup.js';
import { connectEmbedded } from '../../src/libvirt/embedded.js';
import { loadProfile } from '../../src/profile/load.js';
import { neededSlots } from '../../src/sandbox/devices/slots.js';
import { imageChoices } from '../../src/sandbox/image-choices.js';
import { BootImages } from '../../src/sandbox/prepare/boot-images.js';
import { firstImage } from '../../src/sandbox/prepare/machine.js';
import {
  findSnapshots,
  type SnapshotChoice,
  type SnapshotRequest,
  selectSnapshot,
} from '../../src/sandbox/snapshot/find.js';
import { snapshotHost } from '../../src/sandbox/snapshot/host.js';
import { machineSignature, type SnapshotShape, savedCommandLine } from '../../src/sandbox/snapshot/machine.js';
import { findInPath, hostProgram } from '../../src/util/programs.js';
import { devicesOfSession } from './devices.js';
import { rejectsWith } from './errors.js';
import { makeKernel, packWith } from './kernel-files.js';
import { SETS, type TestMachine, testMachine, VERSION } from './machines.js';
import { makeModule, NINEP_TREE, writeModuleTree } from './module-trees.js';

/** What differs in a snapshot's record from one that is made on this host. */
export type Change = (facts: SnapshotFacts) => Partial<SnapshotFacts>;

export const unlessDriver = findInPath('virt-qemu-run') ? false : 'virt-qemu-run is not installed';

/** The machine of a snapshot without options. */
export async function defaultShape(): Promise<SnapshotShape> {
  const slots = { mounts: 4, disks: 0, networks: 0 };
  return { memory: 512 << 20, vcpus: 1, acceleration: 'tcg', profile: await loadProfile(undefined), slots, sets: SETS };
}

/**
 * A host whose kernel and modules are fake. QEMU, libvirt, CPU and init are the real ones; the store is that of this
 * process.
 */
export class SnapshotHost {
  readonly #machine: TestMachine;
  readonly #connection;

  constructor(context: TestContext) {
    this.#machine = testMachine(context);
    const before = process.env['XDG_CACHE_HOME'];
    process.env['XDG_CACHE_HOME'] = this.cache;
    context.after(() => {
      if (before === undefined) delete process.env['XDG_CACHE_HOME'];
      else process.env['XDG_CACHE_HOME'] = before;
    });
    this.#connection = connectEmbedded({ cacheDirectory: join(this.directory, 'libvirt') });
  }

  get directory(): string {
    return this.#machine.directory;
  }

  get cache(): string {
    return join(this.directory, 'cache');
  }

  get store(): string {
    return defaultStoreDirectory();
  }

  /** Builds the image or finds it, with the init of this package or another. */
  async image(
    profileName?: string,
    nativeInit = hostProgram('init'),
    sets: readonly string[] = SETS,
  ): Promise<BootImage> {
    const choices = imageChoices(await loadProfile(profileName));
    const { kernel } = await this.config({});
    for (;;) {
      const image = await resolveImage({ kernel, sets, nativeInit, ...choices });
      // The store does not remember images made from files that were written just now, so try again.
      if (hasAnswer(this.store, image.id)) return image;
    }
  }

  /** A sandbox with the kernel and the modules of this host. */
  config(options: ConfigOptions) {
    const kernel = { kernpath: this.#machine.kernel, kmodpath: join(this.directory, 'modules') };
    return configFromOptions({ command: ['true'], ...kernel, ...options });
  }

  /** Saves a fake snapshot, with the record of a real one except for `change`. */
  async save(image: BootImage, change: Change = () => ({})): Promise<Snapshot> {
    const shape = await defaultShape();
    const { profile: _profile, prepared: _none, ...fields } = shape;
    const facts: SnapshotFacts = {
      image: image.id,
      ...fields,
      sets: image.manifest.sets,
      machine: machineSignature(shape),
      kernelArguments: savedCommandLine(shape),
      profile: 'default',
      host: await snapshotHost(this.#connection),
      owner: process.geteuid?.() ?? 0,
      ready: {},
    };
    return publishSnapshot(image.directory, async (directory) => {
      for (const name of [SNAPSHOT_MEMORY, SNAPSHOT_STATE]) await writeFile(join(directory, name), name);
      return { ...facts, ...change(facts) };
    });
  }

  /** What a start would do: the snapshot that it starts from, if any, and the choices that it reports. */
  async start(
    options: ConfigOptions = {},
    profileName?: string,
  ): Promise<{ warm: string | undefined; said: string[] }> {
    const said: string[] = [];
    const choice = await this.choose(options, profileName, said);
    return { warm: choice?.directory, said };
  }

  /** @param said gets the choices that are reported */
  async choose(
    options: ConfigOptions = {},
    profileName?: string,
    said: string[] = [],
  ): Promise<SnapshotChoice | undefined> {
    const config = await this.config(options);
    const devices = devicesOfSession(config);
    const profile = await loadProfile(profileName);
    const request: SnapshotRequest = {
      config,
      profile,
      devices,
      needs: { slots: neededSlots(devices), sets: SETS, virtiofsRoot: false, late: 0 },
      images: new BootImages(config, profile, {}, false),
      options: { onChoice: (sentence) => said.push(sentence), profile: profileName },
      kind: 'session',
    };
    const offer = await findSnapshots(request);
    const image = await firstImage(offer, SETS, (sets) => this.image(profileName, undefined, sets));
    return selectSnapshot(offer, request, image, 'tcg', this.#connection);
  }

  /** Asserts that a start skips the snapshot for this reason, and that a start with --boot warm fails with it. */
  async assertPassedOver({ directory }: Snapshot, reason: string, options: ConfigOptions = {}, profileName?: string) {
    const why = reason.replace('IMAGE', `the snapshot ${directory}`);
    assert.deepEqual(await this.start(options, profileName), { warm: undefined, said: [`boot: cold, because ${why}`] });
    const error = await rejectsWith(this.start({ ...options, boot: 'warm' }, profileName), 'warm-image-missing');
    assert.equal(error.message, `no snapshot serves this sandbox: ${why}`);
    assert.match(error.remedy, /^bake one with: virt-sandbox-bake create --warm --kernpath \S+ --kmodpath \S+/);
  }

  /** Writes the kernel again with the same content. */
  touchKernel(): void {
    writeFileSync(this.#machine.kernel, readFileSync(this.#machine.kernel));
  }

  changeKernel(): void {
    writeFileSync(this.#machine.kernel, makeKernel(VERSION, 'gzip', { textSize: 128 << 10 }));
  }

  /** Gives it the module of another set. */
  addModule(path: string): void {
    const modules = { ...NINEP_TREE.modules, [path]: [] };
    writeModuleTree(join(this.directory, 'modules'), { version: VERSION, packer: 'gzip', ...NINEP_TREE, modules });
  }

  changeModule(): void {
    const path = join(this.#machine.tree, 'kernel/fs/9p/9p.ko.gz');
    writeFileSync(path, packWith('gzip', makeModule('fs/9p/9p.ko, another', VERSION)));
  }

  /** An init that is not this package's. */
  get otherInit(): string {
    return this.#machine.init;
  }
}
