/**
 * Which kernel is booted, and why.
 */

import { readdir, realpath } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import type { KernelSelection } from '../config/types.js';
import { isSystemError, messageOf, SandboxError } from '../errors.js';
import { identifyKernel, type KernelFile } from './identify.js';
import type { InputLog } from './inputs.js';
import { compareVersions } from './version.js';

/** Where kernels are looked for; every field has a default. */
export interface KernelPlaces {
  /** The running kernel's version; default: `uname -r`. */
  readonly release?: string;
  /** Where vmlinuz-VERSION files are; default: /boot. */
  readonly bootDirectory?: string;
  /** Where module trees are unless a selection says so; default: /lib/modules. */
  readonly modulesDirectory?: string;
}

/** The kernel that was chosen. */
export interface KernelChoice {
  readonly file: KernelFile;
  readonly version: string;
  /** Its module tree. */
  readonly modulesDirectory: string;
  /** Which and why, as a sentence without a final full stop. */
  readonly reason: string;
}

/** Says what a kernel lacks, as part of a sentence, or undefined when it has all that is needed. */
export type Lacks = (version: string, modulesDirectory: string) => Promise<string | undefined>;

const INSTALL = 'install one (Debian: linux-image-amd64) or name one with --kernpath and --kmodpath';

function kernelError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'kernel', code, message, remedy, cause });
}

/** The names in a directory; an unreadable or missing one is empty. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (isSystemError(error)) return [];
    throw error;
  }
}

/** A search with its places and its log. */
class Search {
  readonly release: string;
  readonly #boot: string;
  readonly #modules: string;

  constructor(
    private readonly selection: KernelSelection,
    places: KernelPlaces,
    private readonly inputs: InputLog,
  ) {
    this.release = places.release ?? release();
    this.#boot = places.bootDirectory ?? '/boot';
    this.#modules = selection.modulesPath ?? places.modulesDirectory ?? '/lib/modules';
  }

  treeOf(version: string): string {
    return join(this.#modules, version);
  }

  async identify(path: string): Promise<KernelFile> {
    this.inputs.note(path);
    return identifyKernel(path);
  }

  /** The paths at which an installed kernel may be: Debian's and most others' first, then Fedora's. */
  async candidatePaths(): Promise<string[]> {
    this.inputs.note(this.#boot);
    this.inputs.note(this.#modules);
    const inBoot = (await namesIn(this.#boot)).filter((name) => name.startsWith('vmlinuz-'));
    const inTrees = await namesIn(this.#modules);
    return [
      ...inBoot.map((name) => join(this.#boot, name)),
      ...inTrees.map((version) => join(this.#modules, version, 'vmlinuz')),
    ];
  }

  /** Every installed kernel, newest first, and the errors of the files that are none. */
  async installed(): Promise<{ kernels: KernelFile[]; errors: SandboxError[] }> {
    const kernels: KernelFile[] = [];
    const errors: SandboxError[] = [];
    const seen = new Set<string>();
    for (const path of await this.candidatePaths()) {
      try {
        const real = await realpath(path).catch(() => path);
        if (seen.has(real)) continue;
        seen.add(real);
        kernels.push(await this.identify(path));
      } catch (error) {
        if (!(error instanceof SandboxError)) throw error;
        if (error.code !== 'kernel-not-found') errors.push(error);
      }
    }
    kernels.sort((a, b) => compareVersions(b.version, a.version));
    return { kernels, errors };
  }

  /** True when the kernel's module tree is there. */
  async hasTree(version: string): Promise<boolean> {
    this.inputs.note(this.treeOf(version));
    return (await namesIn(this.treeOf(version))).includes('modules.dep');
  }

  /** A choice whose module tree is checked. */
  async choose(file: KernelFile, reason: string): Promise<KernelChoice> {
    if (!(await this.hasTree(file.version))) await this.rejectTree(file.version);
    return { file, version: file.version, modulesDirectory: this.treeOf(file.version), reason };
  }

  async rejectTree(version: string): Promise<never> {
    const modules = this.#modules;
    const names = await namesIn(modules);
    const fail = (code: string, message: string, remedy: string): never => {
      throw new SandboxError({ stage: 'modules', code, message, remedy });
    };
    if (names.includes('modules.dep')) {
      fail(
        'modules-path-is-a-tree',
        `modules directory ${modules} is a module tree itself`,
        `name the directory above it, which must hold one called ${version}`,
      );
    }
    if (names.includes(version)) {
      fail(
        'modules-not-indexed',
        `module tree ${this.treeOf(version)} has no readable modules.dep`,
        `install the modules of kernel ${version}, or run 'depmod ${version}' as root`,
      );
    }
    if (names.length > 0) {
      fail(
        'modules-other-version',
        `modules directory ${modules} has no modules of kernel ${version}, only of ${names.join(', ')}`,
        `install the modules of kernel ${version}, or choose a kernel that has modules with --kernver`,
      );
    }
    fail(
      'modules-not-found',
      `modules directory ${modules} does not exist or is empty`,
      `install the modules of kernel ${version}, or name the directory that holds ${version} with --kmodpath`,
    );
    throw new Error('not reached');
  }

  async byPath(path: string): Promise<KernelChoice> {
    const file = await this.identify(path);
    const wanted = this.selection.version;
    if (wanted !== undefined && wanted !== file.version) {
      throw kernelError(
        'kernel-version-mismatch',
        `kernel ${path} is version ${file.version}, not ${wanted}`,
        'leave --kernver out, or name the kernel of that version with --kernpath',
      );
    }
    return this.choose(file, `kernel ${file.version} from ${path}, as asked for`);
  }

  async byVersion(version: string): Promise<KernelChoice> {
    const { kernels, errors } = await this.installed();
    const file = kernels.find((kernel) => kernel.version === version);
    if (file !== undefined) return this.choose(file, `kernel ${version} from ${file.path}, as asked for`);
    const broken = errors.find((error) => error.message.includes(version));
    if (broken !== undefined) throw broken;
    const others = kernels.map((kernel) => kernel.version).join(', ');
    throw kernelError(
      'kernel-not-found',
      `no kernel ${version} is installed in ${this.#boot} or ${this.#modules}`,
      others === '' ? INSTALL : `choose one of ${others} with --kernver, or name a file with --kernpath`,
    );
  }

  /** The running kernel when it serves, else the newest that does, else the one whose lack is worth reporting. */
  async byDefault(lacks: Lacks): Promise<KernelChoice> {
    const { kernels, errors } = await this.installed();
    const running = kernels.find((kernel) => kernel.version === this.release);
    const passedOver: string[] = [];
    let lacking: KernelChoice | undefined;
    for (const file of running === undefined ? kernels : [running, ...kernels.filter((kernel) => kernel !== running)]) {
      const name = file === running ? `the running kernel ${file.version}` : file.version;
      if (!(await this.hasTree(file.version))) {
        passedOver.push(`${name} has no modules`);
        continue;
      }
      const lack = await this.lackOf(file.version, lacks);
      if (lack === undefined) return this.choose(file, this.explain(file, running, passedOver, errors));
      lacking ??= await this.choose(file, `kernel ${file.version} from ${file.path}, the newest with modules`);
      passedOver.push(`${name} ${lack}`);
    }
    if (lacking !== undefined) return lacking;
    const first = errors[0];
    if (kernels.length === 0 && first !== undefined) throw first;
    throw kernelError(
      'kernel-not-found',
      `no kernel with modules is installed in ${this.#boot} and ${this.#modules}`,
      INSTALL,
    );
  }

  /** A damaged tree of one kernel must not stop the search for another. */
  async lackOf(version: string, lacks: Lacks): Promise<string | undefined> {
    try {
      return await lacks(version, this.treeOf(version));
    } catch (error) {
      return `cannot be used (${messageOf(error)})`;
    }
  }

  explain(
    file: KernelFile,
    running: KernelFile | undefined,
    passedOver: readonly string[],
    errors: readonly SandboxError[],
  ): string {
    if (file === running) return `kernel ${file.version} from ${file.path}, the running one`;
    const why = [
      ...(running === undefined ? [`the running kernel ${this.release} has no image here`] : []),
      ...passedOver,
      ...errors.map((error) => error.message),
    ];
    return `kernel ${file.version} from ${file.path}, the newest that serves (${why.join('; ')})`;
  }
}

/**
 * Finds the kernel to boot: the one that `selection` names, else the running one when it has an image and modules and
 * lacks nothing, else the newest installed one that lacks nothing. When every kernel lacks something, the first choice is returned and
 * the caller says what it lacks.
 *
 * @param lacks Asked of each candidate when the selection names none.
 * @param inputs Told of every file and directory that the answer depends on.
 * @throws {SandboxError} stage `kernel` or `modules`: no kernel, one that cannot be used, no modules for it.
 */
export async function findKernel(
  selection: KernelSelection,
  lacks: Lacks,
  inputs: InputLog,
  places: KernelPlaces = {},
): Promise<KernelChoice> {
  const search = new Search(selection, places, inputs);
  if (selection.path !== undefined) return search.byPath(selection.path);
  if (selection.version !== undefined) return search.byVersion(selection.version);
  return search.byDefault(lacks);
}

/** Every installed kernel that can be identified and has a module tree, newest first. */
export async function installedKernels(
  selection: KernelSelection,
  inputs: InputLog,
  places: KernelPlaces = {},
): Promise<KernelChoice[]> {
  const search = new Search(selection, places, inputs);
  const { kernels } = await search.installed();
  const choices: KernelChoice[] = [];
  for (const file of kernels) {
    if (await search.hasTree(file.version)) choices.push(await search.choose(file, 'it is installed'));
  }
  return choices;
}
