/**
 * Building an image from nothing. The kernel and the modules are unpacked at the same time, in memory; the disk is
 * touched when everything is known to be right.
 */

import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SandboxError } from '../../util/errors.js';
import { readBuildConfig } from '../../kernel/build-config.js';
import type { KernelChoice } from '../../kernel/find.js';
import { InputRecorder } from '../../util/input-log.js';
import type { SparseFile } from '../../kernel/slim.js';
import { hashSparse, readKernel } from '../../kernel/stage.js';
import { type BootFile, unpackKernel } from '../../kernel/unpack.js';
import { closureOf } from '../../kmods/closure.js';
import { type FeatureState, featureAbsentError, featureStates, missingFeature, modulesOf } from '../../kmods/features.js';
import { type LoadedModule, readModules } from '../../kmods/read.js';
import { ModuleTrees, servingKernels } from '../../kmods/report.js';
import { type ModuleSet, readSets } from '../../kmods/sets.js';
import type { ModuleTree } from '../../kmods/tree.js';
import { chooseKernel } from './choose-kernel.js';
import { checkCompression, compress, type InitrdCompression } from './compress.js';
import { initrdEntries, moduleEntryName, readInit, readPrograms } from './contents.js';
import { type CpioEntry, packCpio } from './cpio.js';
import { debugShellEntries } from './debug-shell.js';
import { type Remembered, rememberedPath } from '../store/lookup.js';
import {
  type Digest,
  digestOf,
  IMAGE_FORMAT,
  INITRD_NAME,
  MANIFEST_NAME,
  type Manifest,
  manifestText,
  sealManifest,
  sha256,
} from '../manifest.js';
import { findImage, makeStore, publish, storeError, writeDurably } from '../store/store.js';
import type { ImageOptions, ImageTimings } from '../types.js';
import { sweepWorkspaces, withWorkspace } from '../store/workspace.js';

/** An image in the store. */
export interface Built {
  readonly manifest: Manifest;
  readonly reason: string;
  readonly fresh: boolean;
  readonly timings: Partial<ImageTimings>;
}

type Timings = { -readonly [part in keyof ImageTimings]?: number };

/** The two files of an image in memory, and the manifest. */
interface Parts {
  readonly manifest: Manifest;
  readonly boot: BootFile;
  readonly initrd: Buffer;
}

/** One build: what it was asked, what it looked at, how long it took. */
class Build {
  readonly timings: Timings = {};
  readonly #inputs = new InputRecorder();
  readonly #trees = new ModuleTrees(this.#inputs);
  readonly #startedAt = Date.now();
  readonly #compression: InitrdCompression;

  constructor(
    private readonly options: ImageOptions,
    private readonly store: string,
    private readonly setsDirectory: string,
  ) {
    // The code is an input like any other.
    this.#inputs.note(fileURLToPath(import.meta.url));
    this.#compression = options.compression ?? 'none';
  }

  async run(key: string): Promise<Built> {
    const sets = await readSets(this.setsDirectory, this.options.sets, this.#inputs);
    const choice = await this.#timed('select', this.#choose(sets));
    this.#say(`using ${choice.reason}`);
    const parts = await this.#make(choice, sets);
    const fresh = await this.#timed('store', this.#keep(parts));
    await this.#remember(key, parts.manifest, choice.reason);
    return { manifest: parts.manifest, reason: choice.reason, fresh, timings: this.timings };
  }

  #say(message: string): void {
    this.options.onProgress?.(message);
  }

  async #timed<T>(part: keyof ImageTimings, work: Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work;
    this.timings[part] = performance.now() - start;
    return result;
  }

  #choose(sets: readonly ModuleSet[]): Promise<KernelChoice> {
    return chooseKernel(this.options, sets, this.#inputs, this.#trees);
  }

  async #make(choice: KernelChoice, sets: readonly ModuleSet[]): Promise<Parts> {
    // Started first: its decoder works on another thread while this one reads modules.
    const kernelWork = this.#timed('kernel', this.#makeKernel(choice));
    const initrdWork = this.#makeInitrd(choice, sets, async () => (await kernelWork).boot.content);
    // Both are waited for even when one fails: nothing may run on behind an answer.
    const [kernel, initrd] = await Promise.allSettled([kernelWork, initrdWork]);
    if (initrd.status === 'rejected') throw initrd.reason;
    if (kernel.status === 'rejected') throw kernel.reason;
    const { boot, bootDigest, source } = kernel.value;
    const { init, features, modules, archive } = initrd.value;
    const manifest = sealManifest({
      format: IMAGE_FORMAT,
      kernel: { version: choice.version, file: boot.name, reason: boot.reason, source },
      init,
      sets: this.options.sets,
      features,
      modules: modules.map((module) => ({
        name: module.name,
        file: moduleEntryName(module),
        ...digestOf(module.data),
      })),
      compression: this.#compression,
      commonInit: this.options.guestNode === undefined ? 'host' : 'guest',
      kernelArguments: [],
      files: [
        { name: boot.name, ...bootDigest },
        { name: INITRD_NAME, ...digestOf(archive) },
      ],
    });
    return { manifest, boot, initrd: archive };
  }

  async #makeKernel(choice: KernelChoice): Promise<{
    boot: BootFile;
    bootDigest: Digest;
    source: Manifest['kernel']['source'];
  }> {
    const data = await readKernel(choice.file);
    const work = unpackKernel(choice.file, data, this.options.kernelForm);
    // Keeps a failure from counting as unhandled while this thread is busy hashing; it is thrown below.
    work.catch(() => {});
    const source = { ...digestOf(data), format: choice.file.format };
    const boot = await work;
    const sha = boot.name === 'kernel' ? source.sha256 : hashSparse(boot.content);
    this.#say(`booting ${boot.name === 'kernel' ? 'the bzImage' : 'the unpacked vmlinux'}: ${boot.reason}`);
    return { boot, bootDigest: { size: boot.content.size, sha256: sha }, source };
  }

  async #makeInitrd(
    choice: KernelChoice,
    sets: readonly ModuleSet[],
    boot: () => Promise<SparseFile>,
  ): Promise<{ init: Digest; features: FeatureState[]; modules: LoadedModule[]; archive: Buffer }> {
    const tree = await this.#trees.read(choice.modulesDirectory, choice.version);
    const features = featureStates(tree, sets);
    const missing = missingFeature(features);
    if (missing !== undefined) {
      const { kernel, searchPaths } = this.options;
      const serving = await servingKernels(kernel, sets, this.#trees, this.#inputs, searchPaths);
      throw featureAbsentError(choice.version, missing, serving);
    }
    if (this.#compression !== 'none') {
      checkCompression(this.#compression, await readBuildConfig(choice, boot, this.#inputs), choice.version);
    }
    const modules = await this.#timed('modules', this.#readModules(tree, features));
    const init = await readInit(this.options.nativeInit, this.#inputs);
    const programs = await readPrograms(this.options.sets, this.#inputs);
    const { guestNode } = this.options;
    if (guestNode !== undefined) {
      const { readRuntime } = await import('./node-runtime.js');
      programs.push(...(await readRuntime(guestNode, this.#inputs)));
    }
    const shell = this.options.debugShell === true ? await debugShellEntries(this.#inputs) : [];
    const entries = [...initrdEntries(init, modules, programs), ...shell];
    const archive = await this.#timed('initrd', this.#pack(entries));
    return { init: digestOf(init), features, modules, archive };
  }

  async #pack(entries: readonly CpioEntry[]): Promise<Buffer> {
    const archive = await packCpio(entries);
    if (this.#compression !== 'none') this.#say(`packing the initrd with ${this.#compression}`);
    return compress(archive, this.#compression);
  }

  async #readModules(tree: ModuleTree, features: readonly FeatureState[]): Promise<LoadedModule[]> {
    const order = await closureOf(tree, modulesOf(features));
    this.#say(`modules: ${order.length === 0 ? 'none' : order.map((module) => module.name).join(', ')}`);
    return readModules(tree, order, this.#inputs);
  }

  /** Puts the image into the store unless it is there; true when it was put there now. */
  async #keep(parts: Parts): Promise<boolean> {
    const { id } = parts.manifest;
    const rebuild = this.options.rebuild === true;
    if (!rebuild && (await findImage(this.store, id)) !== undefined) return false;
    try {
      return await this.#inWorkspace(async (workspace) => {
        const writes = await Promise.allSettled([
          writeDurably(join(workspace, parts.boot.name), parts.boot.content),
          writeDurably(join(workspace, INITRD_NAME), parts.initrd),
          writeDurably(join(workspace, MANIFEST_NAME), Buffer.from(manifestText(parts.manifest))),
        ]);
        for (const write of writes) if (write.status === 'rejected') throw write.reason;
        return publish(this.store, workspace, id, rebuild);
      });
    } catch (error) {
      const size = parts.manifest.files.reduce((sum, file) => sum + file.size, 0);
      throw storeError(error, this.store, size);
    }
  }

  /** Runs `use` in a directory of the store that is gone afterwards, and clears up behind builders that died. */
  async #inWorkspace<T>(use: (workspace: string) => Promise<T>): Promise<T> {
    makeStore(this.store);
    await sweepWorkspaces(this.store);
    return withWorkspace(this.store, use);
  }

  /** Keeps the answer for the next time: see lookup.ts. */
  async #remember(key: string, manifest: Manifest, reason: string): Promise<void> {
    if (!this.#inputs.isSettled(this.#startedAt)) return;
    const remembered: Remembered = {
      format: IMAGE_FORMAT,
      image: manifest.id,
      manifest: sha256(manifestText(manifest)),
      reason,
      inputs: this.#inputs.entries(),
    };
    const data = Buffer.from(`${JSON.stringify(remembered)}\n`);
    try {
      await this.#inWorkspace(async (workspace) => {
        const path = join(workspace, 'remembered');
        await writeDurably(path, data);
        await rename(path, rememberedPath(this.store, key));
      });
    } catch (error) {
      // The image is there, and that is what was asked for; only the next search for it is slower.
      if (!(storeError(error, this.store) instanceof SandboxError)) throw error;
      this.#say('the store cannot be written to, so that this image will be searched for again next time');
    }
  }
}

/**
 * Builds the image, or finds that the store has it, and remembers which request it answers.
 *
 * @param key The request's name in the store's index.
 */
export async function buildImage(
  options: ImageOptions,
  store: string,
  setsDirectory: string,
  key: string,
): Promise<Built> {
  return new Build(options, store, setsDirectory).run(key);
}
