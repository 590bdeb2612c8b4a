/** Words of sandbox.cfg that its writer and its reader share. */
import type { ImageRootTexts } from '../root.js';
import type { Mount, SandboxConfig } from '../types.js';

/** What is written for a key; undefined: nothing. */
export type Value = string | number | boolean | undefined;

/** Keys of one group. */
export type Values = Readonly<Record<string, Value>>;

/**
 * The version of the file's format, in `[api]`: the release of libvirt-sandbox that has this format. It is not this
 * package's version, so a file does not change with every release.
 */
export const FORMAT_VERSION = '0.8.0';

/** The name in the file of a sandbox without a name. */
export const UNNAMED = 'sandbox';

/** The command of a file without one. */
export const DEFAULT_COMMAND: readonly string[] = ['/bin/sh'];

/** Keys of `[root]`: what is asked of an image. */
export const IMAGE_KEYS = {
  pull: 'pull',
  manifest: 'manifest',
  platform: 'platform',
  authfile: 'authfile',
  tlsVerify: 'tlsverify',
  entrypoint: 'entrypoint',
  user: 'user',
  publishAll: 'publishall',
} as const satisfies Readonly<Record<keyof ImageRootTexts, string>>;

/** The unit that systemd boots to if the file names none. */
export const DEFAULT_BOOT_TARGET = 'multi-user.target';

/** The command of a systemd service, which is not in the file: systemd with its boot target. */
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

/** The value of `class` in `[api]`. */
export function classOf(config: SandboxConfig): string {
  if (config.service === undefined) return INTERACTIVE_CLASS;
  return config.service.type === 'systemd' ? SYSTEMD_CLASS : GENERIC_CLASS;
}
