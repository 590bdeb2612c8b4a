/** Finds installed kernels and module trees. */

import { readdir, realpath } from 'node:fs/promises';
import { release } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { KernelSelection } from '../config/types.js';
import { isSystemError, SandboxError } from '../util/errors.js';
import type { InputLog } from '../util/input-log.js';
import { identifyKernel, type KernelFile } from './identify.js';
import { compareVersions } from './version.js';

/** Where to look for kernels. */
export interface KernelSearchPaths {
  /** Version of the running kernel; default: `uname -r`. */
  readonly release?: string;
  /** Directory of vmlinuz-VERSION files; default: /boot. */
  readonly bootDirectory?: string;
  /** Directory of module trees, unless the selection names one; default: /lib/modules. */
  readonly modulesDirectory?: string;
}

/** A file that is named like a kernel but cannot be booted. */
export interface Unusable {
  /** The version in its path. */
  readonly version: string;
  readonly error: SandboxError;
}

/** The sorted names in a directory; none if it is missing or unreadable. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (isSystemError(error)) return [];
    throw error;
  }
}

/** The version that a kernel's path names: vmlinuz-VERSION, or VERSION/vmlinuz. */
function versionInPath(path: string): string {
  const name = basename(path);
  return name.startsWith('vmlinuz-') ? name.slice('vmlinuz-'.length) : basename(dirname(path));
}

/** The kernels and module trees of one host. Every file and directory it looks at goes to `inputs`. */
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

  /** Every installed kernel, newest first, and the files that are only named like one. */
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
        if (error.code !== 'kernel-not-found') unusable.push({ version: versionInPath(path), error });
      }
    }
    usable.sort((a, b) => compareVersions(b.version, a.version));
    return { usable, unusable };
  }

  /** Paths where a kernel may be: /boot, as on Debian and most others, then the module trees, as on Fedora. */
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

  /** Path of a version's module tree, whether it exists or not. */
  treeOf(version: string): string {
    return join(this.modulesDirectory, version);
  }

  /** True when a version's module tree exists and is indexed. */
  async hasTree(version: string): Promise<boolean> {
    this.inputs.note(this.treeOf(version));
    return (await namesIn(this.treeOf(version))).includes('modules.dep');
  }

  /** The error for a version without a module tree. It names what is there instead. */
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
