/** What a container has of what its config asks for. */
import type { SandboxConfig } from '../../config/types.js';

/**
 * The systemd of a container has all capabilities in its user namespace, and none of the host's: what starts units is
 * not to be root of the host, as any other program with `privileged` is.
 */
export function containedConfig(config: SandboxConfig, platform: 'machine' | 'container'): SandboxConfig {
  return platform === 'container' && config.service?.type === 'systemd' ? { ...config, privileged: undefined } : config;
}
