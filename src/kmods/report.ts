/** Reports which features installed kernels have. */

import type { KernelSelection } from '../config/types.js';
import { installedKernels } from '../kernel/choose.js';
import type { KernelSearchPaths } from '../kernel/search-paths.js';
import { SandboxError } from '../util/errors.js';
import { forgetInputs, type InputLog } from '../util/input-log.js';
import { type FeatureState, featureStates, missingFeature } from './features.js';
import { defaultSetsDirectory, type ModuleSet, readSets } from './sets.js';
import { type ModuleTree, readModuleTree } from './tree.js';

/** Reads module trees, each once. */
export class ModuleTrees {
  readonly #trees = new Map<string, Promise<ModuleTree>>();

  constructor(private readonly inputs: InputLog) {}

  /** @throws {SandboxError} as {@link readModuleTree} does. */
  read(directory: string, version: string): Promise<ModuleTree> {
    const tree = this.#trees.get(directory) ?? readModuleTree(directory, version, this.inputs);
    this.#trees.set(directory, tree);
    return tree;
  }
}

/**
 * The features of the module sets `names` in one kernel.
 *
 * @param modulesDirectory Module tree of this kernel: /lib/modules/VERSION.
 * @param setsDirectory Directory of the sets; default: the package's own.
 * @throws {SandboxError} of stage `modules`: the tree or a set cannot be read
 */
export async function reportFeatures(
  version: string,
  modulesDirectory: string,
  names: readonly string[],
  setsDirectory: string = defaultSetsDirectory(),
): Promise<FeatureState[]> {
  const sets = await readSets(setsDirectory, names, forgetInputs);
  return featureStates(await readModuleTree(modulesDirectory, version, forgetInputs), sets);
}

/** Versions of the installed kernels that have every required feature of `sets`, newest first. */
export async function servingKernels(
  selection: KernelSelection,
  sets: readonly ModuleSet[],
  trees: ModuleTrees,
  inputs: InputLog,
  searchPaths: KernelSearchPaths = {},
): Promise<string[]> {
  const versions: string[] = [];
  for (const { version, modulesDirectory } of await installedKernels(selection, inputs, searchPaths)) {
    try {
      const states = featureStates(await trees.read(modulesDirectory, version), sets);
      if (missingFeature(states) === undefined) versions.push(version);
    } catch (error) {
      // Do not recommend a kernel with a damaged tree.
      if (!(error instanceof SandboxError)) throw error;
    }
  }
  return versions;
}
