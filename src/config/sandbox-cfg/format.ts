/** The words of sandbox.cfg that its writer and its reader share. */
import type { Mount, SandboxConfig } from '../types.js';

/**
 * The version of the file's format, in `[api]`: that of the libvirt-sandbox release whose format it is. It is not this
 * package's own, so that a file does not change with every release.
 */
export const FORMAT_VERSION = '0.8.0';

/** The name that stands in the file when the sandbox has none of its own. */
export const UNNAMED = 'sandbox';

/** What runs when the file has no command. */
export const DEFAULT_COMMAND: readonly string[] = ['/bin/sh'];

/** What systemd boots to when the file does not say. */
export const DEFAULT_BOOT_TARGET = 'multi-user.target';

/** A systemd service's program is not in the file: it is systemd, told what to boot to. */
export function systemdCommand(bootTarget: string): readonly string[] {
  return ['/lib/systemd/systemd', '--system', `--unit=${bootTarget}`];
}

export const MOUNT_CLASS: Readonly<Record<Mount['type'], string>> = {
  'host-bind': 'GVirSandboxConfigMountHostBind',
  'host-image': 'GVirSandboxConfigMountHostImage',
  'guest-bind': 'GVirSandboxConfigMountGuestBind',
  ram: 'GVirSandboxConfigMountRam',
};

export const INTERACTIVE_CLASS = 'GVirSandboxConfigInteractive';
export const SYSTEMD_CLASS = 'GVirSandboxConfigServiceSystemd';
export const GENERIC_CLASS = 'GVirSandboxConfigServiceGeneric';

/** The class in `[api]` that `config` is one of. */
export function classOf(config: SandboxConfig): string {
  if (config.service === undefined) return INTERACTIVE_CLASS;
  return config.service.type === 'systemd' ? SYSTEMD_CLASS : GENERIC_CLASS;
}
