/** Completes a profile that extends another one. */
import type { Profile, ProfileFile } from './types.js';

/** Appends the lists of `own` to those of `base`. Other values of `own` replace those of `base`. */
export function extended(base: Profile, { extends: _extends, ...own }: ProfileFile): Profile {
  const image = { ...base.image, ...own.image };
  const moduleSignatures = own.moduleSignatures ?? base.moduleSignatures;
  const moduleSets = [...new Set([...(base.moduleSets ?? []), ...(own.moduleSets ?? [])])];
  const qemuArguments = [...(base.qemuArguments ?? []), ...(own.qemuArguments ?? [])];
  return {
    format: own.format,
    name: own.name,
    description: own.description,
    kernelArguments: [...base.kernelArguments, ...(own.kernelArguments ?? [])],
    initcallBlacklist: [...base.initcallBlacklist, ...(own.initcallBlacklist ?? [])],
    machine: { ...base.machine, ...own.machine },
    ...(Object.keys(image).length > 0 ? { image } : {}),
    ...(moduleSignatures === undefined ? {} : { moduleSignatures }),
    ...(moduleSets.length > 0 ? { moduleSets } : {}),
    ...(qemuArguments.length > 0 ? { qemuArguments } : {}),
  };
}
