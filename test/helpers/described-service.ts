/** Services for tests of what is made of their files. */
import { defaultConfig } from '../../src/config/defaults.js';
import type { SandboxConfig } from '../../src/config/types.js';
import { type ServiceRoots, servicePaths } from '../../src/service/paths.js';
import { DEFAULT_SETTINGS, type Service, type ServiceSettings } from '../../src/service/types.js';

/** Changes of a service that has all defaults, and runs `/bin/true` as root. */
export interface ServiceChanges {
  readonly name?: string;
  readonly roots?: ServiceRoots;
  readonly config?: Partial<SandboxConfig>;
  readonly settings?: Partial<ServiceSettings>;
}

const SYSTEM: ServiceRoots = {
  scope: 'system',
  services: '/etc/libvirt-sandbox/services',
  directories: '/var/lib/libvirt/filesystems',
  images: '/var/lib/libvirt/images',
  lives: '/var/lib/libvirt-sandbox/services',
};

/** A service that nothing on the disk has. */
export function describedService({ name = 'web', roots = SYSTEM, config, settings }: ServiceChanges = {}): Service {
  const root = { uid: 0, gid: 0, username: 'root', home: '/root', groups: [] };
  const generic = { ...defaultConfig(root), name, command: ['/bin/true'], service: { type: 'generic' as const } };
  return {
    name,
    paths: servicePaths(roots, name),
    config: { ...generic, ...config },
    settings: { ...DEFAULT_SETTINGS, ...settings },
  };
}
