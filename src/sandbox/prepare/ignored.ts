/** Which options have no effect on a container. */
import type { SandboxConfig } from '../../config/types.js';
import { option } from '../../util/option-names.js';

/**
 * They are no errors: a script may name a kernel for its machines.
 * @returns a sentence; undefined: all have an effect
 */
export function ignoredByContainers(config: SandboxConfig): string | undefined {
  const { image, profile, kernel, acceleration, nestedKvm, vcpus, boot, rootFs, rootCache } = config;
  const ignored = [
    ...(image === undefined ? [] : [option('image')]),
    ...(profile === undefined ? [] : [option('profile')]),
    ...(kernel.version === undefined ? [] : [option('kernel.version')]),
    ...(kernel.path === undefined ? [] : [option('kernel.path')]),
    ...(kernel.modulesPath === undefined ? [] : [option('kernel.modulesPath')]),
    ...(acceleration === 'auto' ? [] : [option('acceleration')]),
    ...(nestedKvm ? [option('nestedKvm')] : []),
    ...(vcpus === 1 ? [] : [option('vcpus')]),
    ...(boot === 'auto' ? [] : [option('boot')]),
    ...(rootFs === 'auto' ? [] : [option('rootFs')]),
    ...(rootCache === 'auto' ? [] : [option('rootCache')]),
  ];
  if (ignored.length === 0) return undefined;
  return `without effect: ${ignored.join(', ')}, because a container has the kernel and the processors of the host`;
}
