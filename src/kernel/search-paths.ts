/**
 * Where kernels and their modules are installed.
 */

import { readdir, realpath } from 'node:fs/promises';
import { release } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { KernelSelection } from '../config/types.js';
import { isSystemError, SandboxError } from '../util/errors.js';
import type { InputLog } from '../util/input-log.js';
import { identifyKernel, type KernelFile } from './identify.js';
import { compareVersions } from './version.js';

/** Where kernels are looked for; every field has a default. */
export interface KernelSearchPaths {
  /** The running kernel's version; default: `uname -r`. */
  readonly release?: string;
  /** Where vmlinuz-VERSION files are; default: /boot. */
  readonly bootDirectory?: string;
  /** Where module trees are unless a selection says so; default: /lib/modules. */
  readonly modulesDirectory?: string;
}

/** A file that has a kernel's name and cannot be used. */
export interface Unusable {
  /** The version in its name. */
  readonly version: string;
  readonly error: SandboxError;
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

/** The version that a kernel's path promises: the end of vmlinuz-VERSION, or the directory VERSION/vmlinuz. */
function promisedVersion(path: string): string {
  const name = basename(path);
  return name.startsWith('vmlinuz-') ? name.slice('vmlinuz-'.length) : basename(dirname(path));
}

/** The places of one search, and the log of what was looked at there. */
export class Installation {
  readonly release: string;
  readonly bootDirectory: string;
  readonly modulesDirectory: string;

  constructor(
    selection: KernelSelection,
    searchPaths: KernelSearchPaths,
    private readonly inputs: InputLog,
  ) {
    this.release = searchPaths.release ?? release();
    this.bootDirectory = searchPaths.bootDirectory ?? '/boot';
    this.modulesDirectory = selection.modulesPath ?? searchPaths.modulesDirectory ?? '/lib/modules';
  }

  async identify(path: string): Promise<KernelFile> {
    this.inputs.note(path);
    return identifyKernel(path);
  }

  /** Every installed kernel, newest first, and the files that only look like one. */
  async kernels(): Promise<{ usable: KernelFile[]; unusable: Unusable[] }> {
    const usable: KernelFile[] = [];
    const unusable: Unusable[] = [];
    const seen = new Set<string>();
    for (const path of await this.#candidates()) {
      try {
        const real = await realpath(path).catch(() => path);
        if (!seen.has(real)) usable.push(await this.identify(path));
        seen.add(real);
      } catch (error) {
        if (!(error instanceof SandboxError)) throw error;
        if (error.code !== 'kernel-not-found') unusable.push({ version: promisedVersion(path), error });
      }
    }
    usable.sort((a, b) => compareVersions(b.version, a.version));
    return { usable, unusable };
  }

  /** The paths at which an installed kernel may be: first where Debian and most others put it, then Fedora's place. */
  async #candidates(): Promise<string[]> {
    this.inputs.note(this.bootDirectory);
    this.inputs.note(this.modulesDirectory);
    const files = (await namesIn(this.bootDirectory)).filter((name) => name.startsWith('vmlinuz-'));
    const versions = await namesIn(this.modulesDirectory);
    return [
      ...files.map((name) => join(this.bootDirectory, name)),
      ...versions.map((version) => join(this.modulesDirectory, version, 'vmlinuz')),
    ];
  }

  /** The module tree of a version, be it there or not. */
  treeOf(version: string): string {
    return join(this.modulesDirectory, version);
  }

  /** True when a version's module tree is there. */
  async hasTree(version: string): Promise<boolean> {
    this.inputs.note(this.treeOf(version));
    return (await namesIn(this.treeOf(version))).includes('modules.dep');
  }

  /** The error for a version without a module tree: says what is there instead. */
  async missingTreeError(version: string): Promise<SandboxError> {
    const directory = this.modulesDirectory;
    const treeError = (code: string, message: string, remedy: string): SandboxError =>
      new SandboxError({ stage: 'modules', code, message, remedy });
    const names = await namesIn(directory);
    if (names.includes('modules.dep')) {
      return treeError(
        'modules-path-is-a-tree',
        `modules directory ${directory} is a module tree itself`,
        `name the directory above it, which must hold one called ${version}`,
      );
    }
    if (names.includes(version)) {
      return treeError(
        'modules-not-indexed',
        `module tree ${this.treeOf(version)} has no readable modules.dep`,
        `install the modules of kernel ${version}, or run 'depmod ${version}' as root`,
      );
    }
    const others: string[] = [];
    for (const name of names) if (await this.hasTree(name)) others.push(name);
    if (others.length > 0) {
      return treeError(
        'modules-other-version',
        `modules directory ${directory} has no modules of kernel ${version}, only of ${others.join(', ')}`,
        `install the modules of kernel ${version}, or choose a kernel that has modules with --kernver`,
      );
    }
    return treeError(
      'modules-not-found',
      `modules directory ${directory} ${names.length === 0 ? 'does not exist or is empty' : 'holds no module tree'}`,
      `install the modules of kernel ${version}, or name the directory that holds ${version} with --kmodpath`,
    );
  }
}
