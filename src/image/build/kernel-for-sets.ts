/** Chooses the kernel that an image is built from. */
import { findKernel, type KernelChoice } from '../../kernel/choose.js';
import { type InputLog, InputRecorder } from '../../util/input-log.js';
import { featureStates, lackSentence, missingFeature } from '../../kmods/features.js';
import { ModuleTrees } from '../../kmods/report.js';
import { defaultSetsDirectory, type ModuleSet, readSets } from '../../kmods/sets.js';
import type { ImageOptions } from '../types.js';

/**
 * @param sets Module sets whose required features the kernel must have.
 * @throws {SandboxError} those of {@link findKernel}
 */
export function chooseKernel(
  { kernel, searchPaths }: Pick<ImageOptions, 'kernel' | 'searchPaths'>,
  sets: readonly ModuleSet[],
  inputs: InputLog,
  trees: ModuleTrees,
): Promise<KernelChoice> {
  const lacks = async (version: string, directory: string): Promise<string | undefined> => {
    const missing = missingFeature(featureStates(await trees.read(directory, version), sets));
    return missing === undefined ? undefined : lackSentence(missing);
  };
  return findKernel(kernel, lacks, inputs, searchPaths);
}

/**
 * Whether the kernel that `resolveImage` would choose has all that these module sets need; nothing is built.
 * @throws {SandboxError} those of {@link findKernel}
 */
export async function kernelServes(options: Pick<ImageOptions, 'kernel' | 'searchPaths' | 'sets'>): Promise<boolean> {
  const inputs = new InputRecorder();
  const sets = await readSets(defaultSetsDirectory(), options.sets, inputs);
  const trees = new ModuleTrees(inputs);
  const { version, modulesDirectory } = await chooseKernel(options, sets, inputs, trees);
  return missingFeature(featureStates(await trees.read(modulesDirectory, version), sets)) === undefined;
}

/**
 * The version of the kernel that `resolveImage` would choose; nothing is built.
 * @throws {SandboxError} those of {@link findKernel}
 */
export async function kernelVersionFor(options: Pick<ImageOptions, 'kernel' | 'searchPaths' | 'sets'>): Promise<string> {
  const inputs = new InputRecorder();
  const sets = await readSets(defaultSetsDirectory(), options.sets, inputs);
  return (await chooseKernel(options, sets, inputs, new ModuleTrees(inputs))).version;
}
