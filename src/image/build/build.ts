/**
 * Builds a boot image in memory: a kernel, an initrd, and the manifest of both. The kernel and the modules are unpacked
 * at the same time.
 */

import { fileURLToPath } from 'node:url';
import { readBuildConfig } from '../../kernel/build-config.js';
import type { KernelChoice } from '../../kernel/choose.js';
import type { SparseFile } from '../../kernel/slim.js';
import { hashSparse, readKernel } from '../../kernel/copy.js';
import { type BootFile, unpackKernel } from '../../kernel/unpack.js';
import { closureOf } from '../../kmods/load-order.js';
import {
  type FeatureState,
  featureAbsentError,
  featureStates,
  missingFeature,
  modulesOf,
  parametersOf,
} from '../../kmods/features.js';
import { type LoadedModule, readModules } from '../../kmods/read.js';
import { ModuleTrees, servingKernels } from '../../kmods/report.js';
import { type ModuleSet, readSets } from '../../kmods/sets.js';
import type { ModuleTree } from '../../kmods/tree.js';
import { InputRecorder } from '../../util/input-log.js';
import {
  type Digest,
  digestOf,
  IMAGE_FORMAT,
  INITRD_NAME,
  type InitrdCompression,
  type Manifest,
  sealManifest,
} from '../manifest.js';
import type { ImageOptions, ImageTimings } from '../types.js';
import { chooseKernel } from './kernel-for-sets.js';
import { checkCompression, compress } from './compress.js';
import { initrdEntries, moduleEntryName, readInit, readPrograms } from './contents.js';
import { type CpioEntry, packCpio } from './cpio.js';
import { debugShellEntries } from './debug-shell.js';

/** The parts of an image in memory: the manifest, and the two files that it describes. */
export interface ImageParts {
  readonly manifest: Manifest;
  readonly boot: BootFile;
  readonly initrd: Buffer;
}

export interface BuiltImage extends ImageParts {
  /** Which kernel was chosen and why, as a sentence without a final full stop. */
  readonly reason: string;
  readonly timings: Partial<ImageTimings>;
  /**
   * Path and identity of every file that the build looked at. Undefined when one of them changed so recently that a
   * second change could leave the same identity.
   */
  readonly inputs: readonly (readonly [string, string])[] | undefined;
}

type Timings = { -readonly [part in keyof ImageTimings]?: number };

/** One build: its options, the files it looked at, and its timings. */
class Build {
  readonly #timings: Timings = {};
  readonly #inputs = new InputRecorder();
  readonly #trees = new ModuleTrees(this.#inputs);
  readonly #startedAt = Date.now();
  readonly #compression: InitrdCompression;
  #parameters: ReadonlyMap<string, string> = new Map();

  constructor(
    private readonly options: ImageOptions,
    private readonly setsDirectory: string,
  ) {
    // This code is an input like any other.
    this.#inputs.note(fileURLToPath(import.meta.url));
    this.#compression = options.compression ?? 'none';
  }

  async run(): Promise<BuiltImage> {
    const sets = await readSets(this.setsDirectory, this.options.sets, this.#inputs);
    const choice = await this.#timed('select', chooseKernel(this.options, sets, this.#inputs, this.#trees));
    const tree = await this.#trees.read(choice.modulesDirectory, choice.version);
    const features = featureStates(tree, sets);
    // Before the kernel is decoded: whoever can do with other sets asks for these next.
    await this.#refuseLacks(choice, sets, features);
    this.#parameters = parametersOf(sets);
    this.#say(`using ${choice.reason}`);
    const parts = await this.#make(choice, tree, features);
    const inputs = this.#inputs.isSettled(this.#startedAt) ? this.#inputs.entries() : undefined;
    return { ...parts, reason: choice.reason, timings: this.#timings, inputs };
  }

  #say(message: string): void {
    this.options.onProgress?.(message);
  }

  async #timed<T>(part: keyof ImageTimings, work: Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work;
    this.#timings[part] = performance.now() - start;
    return result;
  }

  async #refuseLacks(
    { version }: KernelChoice,
    sets: readonly ModuleSet[],
    features: readonly FeatureState[],
  ): Promise<void> {
    const missing = missingFeature(features);
    if (missing === undefined) return;
    const { kernel, searchPaths } = this.options;
    const serving = await servingKernels(kernel, sets, this.#trees, this.#inputs, searchPaths);
    throw featureAbsentError(version, missing, serving);
  }

  async #make(choice: KernelChoice, tree: ModuleTree, features: readonly FeatureState[]): Promise<ImageParts> {
    // The kernel's decoder works on another thread while this thread reads modules, so start it first.
    const kernelWork = this.#timed('kernel', this.#makeKernel(choice));
    const initrdWork = this.#makeInitrd(choice, tree, features, async () => (await kernelWork).boot.content);
    // Wait for both even when one fails, so that no work outlives this call.
    const [kernel, initrd] = await Promise.allSettled([kernelWork, initrdWork]);
    if (initrd.status === 'rejected') throw initrd.reason;
    if (kernel.status === 'rejected') throw kernel.reason;
    const { boot, bootDigest, source } = kernel.value;
    const { init, modules, archive } = initrd.value;
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
    // A failure must not count as unhandled while this thread is busy hashing; `await work` throws it below.
    work.catch(() => {});
    const source = { ...digestOf(data), format: choice.file.format };
    const boot = await work;
    const sha = boot.name === 'kernel' ? source.sha256 : hashSparse(boot.content);
    this.#say(`booting ${boot.name === 'kernel' ? 'the bzImage' : 'the unpacked vmlinux'}: ${boot.reason}`);
    return { boot, bootDigest: { size: boot.content.size, sha256: sha }, source };
  }

  async #makeInitrd(
    choice: KernelChoice,
    tree: ModuleTree,
    features: readonly FeatureState[],
    boot: () => Promise<SparseFile>,
  ): Promise<{ init: Digest; modules: LoadedModule[]; archive: Buffer }> {
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
    const entries = [...initrdEntries(init, modules, programs, this.#parameters), ...shell];
    const archive = await this.#timed('initrd', this.#pack(entries));
    return { init: digestOf(init), modules, archive };
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
}

/**
 * Builds the image that serves `options`; nothing is written.
 *
 * @throws {SandboxError} stage `kernel`, `modules` or `image`.
 */
export async function buildImage(options: ImageOptions, setsDirectory: string): Promise<BuiltImage> {
  return new Build(options, setsDirectory).run();
}
