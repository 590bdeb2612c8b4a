/** A profile that says only in what it differs from another. */
import type { Profile, ProfileFile } from './types.js';

/** What the base has comes first; of what can be had in one way only, the profile's own word counts. */
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
