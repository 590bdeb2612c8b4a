/**
 * What a kernel version can do, for messages and for people.
 */

import type { KernelSelection } from '../config/types.js';
import { SandboxError } from '../errors.js';
import { installedKernels, type KernelPlaces } from '../kernel/find.js';
import { forgetInputs, type InputLog } from '../kernel/inputs.js';
import { type FeatureState, featureStates, missingFeature } from './features.js';
import { type ModuleSet, readSets } from './sets.js';
import { readModuleTree } from './tree.js';

/**
 * The features of `sets` in the kernel whose module tree is `modulesDirectory`.
 *
 * @throws {SandboxError} when the tree or a set cannot be read.
 */
export async function reportFeatures(
  version: string,
  modulesDirectory: string,
  sets: readonly ModuleSet[],
  inputs: InputLog = forgetInputs,
): Promise<FeatureState[]> {
  return featureStates(await readModuleTree(modulesDirectory, version, inputs), sets);
}

/** The same by the sets' names, read from `setsDirectory`. */
export async function reportFeaturesByName(
  version: string,
  modulesDirectory: string,
  setsDirectory: string,
  names: readonly string[],
): Promise<FeatureState[]> {
  return reportFeatures(version, modulesDirectory, await readSets(setsDirectory, names, forgetInputs));
}

/** Versions of the installed kernels that have every required feature of `sets`, newest first. */
export async function servingKernels(
  selection: KernelSelection,
  sets: readonly ModuleSet[],
  inputs: InputLog,
  places: KernelPlaces = {},
): Promise<string[]> {
  const versions: string[] = [];
  for (const kernel of await installedKernels(selection, inputs, places)) {
    try {
      const states = await reportFeatures(kernel.version, kernel.modulesDirectory, sets, inputs);
      if (missingFeature(states) === undefined) versions.push(kernel.version);
    } catch (error) {
      // A damaged tree cannot be recommended.
      if (!(error instanceof SandboxError)) throw error;
    }
  }
  return versions;
}
