/**
 * The devices of a sandbox, decided once while it is prepared. The domain's XML and the guest's config are both made
 * from them, so tags, serial numbers and hardware addresses agree.
 */
import { join } from 'node:path';
import type { GuestConfig, GuestRoot } from '../../../init/common/config.js';
import { rootDirectoryOf } from '../../config/root.js';
import type { SandboxConfig } from '../../config/types.js';
import { containerDevices, type DiskDevice } from '../../domain/disks.js';
import type { InterfaceOptions } from '../../domain/interfaces.js';
import { type Screen, screenOf } from '../../domain/screen.js';
import type { SecurityModel } from '../../domain/security.js';
import type { Share } from '../../domain/shares.js';
import { stateBase } from '../state/state-directory.js';
import type { LaunchOptions } from '../types.js';
import { appDisks, type Images, inspectImages } from './disks.js';
import { homeInMemory } from './home.js';
import { guestNetwork, interfacesOf } from './interfaces.js';
import { type MountDevice, mountDevices, rootMount } from './mounts.js';
import { overlayDisk, overlayOf, overlayShare, rootOverlayOf } from './overlay.js';
import { rootServer, startsAhead } from './root-server.js';
import type { RootTransport } from './root-transport.js';
import { rootDirectory } from './root-view.js';
import { ROOT_TAG, rootTag, type ShareServer, shareServer } from './shares.js';
import { type Shell, shellOf } from './shell.js';

/** Every device, for the domain's XML and for the guest. */
export interface Devices {
  /** Shares: the root first, unless a mount replaces it. */
  readonly shares: readonly Share[];
  /** Disks of the application, then images that are mounted, then that of an overlay. */
  readonly disks: readonly DiskDevice[];
  readonly interfaces: readonly InterfaceOptions[];
  /** Undefined: none. */
  readonly screen: Screen | undefined;
  readonly hasSound: boolean;
  /** Shells beside the application; undefined: none. */
  readonly shell: Shell | undefined;
  /** One for each mount of the config, in the same order. */
  readonly mounts: readonly MountDevice[];
  /** The common init covers what is hidden of the root: a directory in a container. */
  readonly coversHidden: boolean;
  /** The same devices for the common init. */
  readonly guest: Pick<
    GuestConfig,
    'platform' | 'root' | 'overlay' | 'rootOverlay' | 'home' | 'mounts' | 'disks' | 'devices' | 'network' | 'shell'
  >;
}

/** What devices depend on besides the config. */
export interface DeviceFacts {
  /** The domain's name. It determines hardware addresses and the state directory. */
  readonly name: string;
  readonly images: Images;
  readonly server: ShareServer;
  /** What serves the root of a machine. */
  readonly root: RootTransport;
  /** What confines QEMU on the host; undefined: nothing, or it is not known. */
  readonly model?: SecurityModel | undefined;
  readonly breakpoint?: LaunchOptions['breakpoint'];
}

/**
 * Inspects the images and the host, then decides.
 * @throws {SandboxError} those of {@link inspectImages}
 */
export async function prepareDevices(
  config: SandboxConfig,
  { kind, ...facts }: Omit<DeviceFacts, 'images' | 'server'> & Pick<ShareServer, 'kind'>,
): Promise<Devices> {
  const images = await inspectImages(config);
  return devicesOf(config, { ...facts, images, server: await shareServer(config, kind) });
}

/**
 * Decides. On the host it looks only at /dev/ptmx, with a network at the resolver files and for passt, and with an
 * overlay at the root, and where it is kept.
 */
export function devicesOf(config: SandboxConfig, facts: DeviceFacts): Devices {
  const { name, images, server, root, model, breakpoint } = facts;
  const platform = server.kind === 'lxc' ? 'container' : 'machine';
  const mounts = mountDevices(config, { images, server, stateDirectory: join(stateBase(), name) });
  const atRoot = rootMount(config);
  // libvirt binds a container's root itself.
  const directory = () =>
    platform === 'container' ? rootDirectoryOf(config) : rootDirectory(name, server.kind, model);
  const rootShare: Share[] =
    atRoot === undefined && config.root.type === 'directory'
      ? [
          {
            ...{ tag: rootTag(root), directory: directory(), readOnly: true, transport: root, cache: config.rootCache },
            ...(root === 'virtiofs'
              ? rootServer(name, { isFlat: config.overlay !== undefined, isAhead: startsAhead(server.kind, model) })
              : {}),
          },
        ]
      : [];
  const ofApplication = appDisks(config);
  const disks = [
    ...ofApplication.map(({ device }) => device),
    ...mounts.flatMap(({ disk }) => disk ?? []),
    ...overlayDisk(config),
  ];
  const interfaces = interfacesOf(config, name, platform);
  const shell = shellOf(config, breakpoint, server.kind);
  return {
    shares: [...rootShare, ...mounts.flatMap(({ share }) => share ?? []), ...overlayShare(config, name, platform)],
    disks,
    interfaces,
    screen: screenOf(config.graphics),
    hasSound: config.sound,
    shell,
    mounts,
    coversHidden: platform === 'container' && atRoot === undefined,
    guest: {
      platform,
      root: atRoot === undefined ? usualRoot(platform, root, config.rootCache) : rootOf(mounts[atRoot]),
      overlay: platform === 'machine' ? overlayOf(config) : undefined,
      rootOverlay: config.overlay && platform === 'container' ? rootOverlayOf(config) : undefined,
      home: homeInMemory(config, server),
      mounts: mounts.filter((_mount, index) => index !== atRoot).map(({ guest }) => guest),
      disks: ofApplication.map(({ guest }) => guest),
      devices: platform === 'container' ? { ...containerDevices(disks), ...filesOf(mounts) } : undefined,
      network: guestNetwork(interfaces, platform),
      shell: shell?.guest,
    },
  };
}

/** The config's root directory. In a container libvirt has bound it already. */
function usualRoot(
  platform: Devices['guest']['platform'],
  transport: RootTransport,
  cache: SandboxConfig['rootCache'],
): GuestRoot {
  if (platform === 'machine') return { type: transport, tag: rootTag(transport), readOnly: true, cache };
  // Root inside is not the host's root, so what only that may read stays closed to it.
  return { type: 'staged', tag: ROOT_TAG, readOnly: true, keepsOwners: false };
}

/** The paths of images that are no disks, by serial number. */
function filesOf(mounts: readonly MountDevice[]): Record<string, string> {
  return Object.fromEntries(
    mounts.flatMap(({ file, guest }) => (file === undefined || guest.type !== 'image' ? [] : [[guest.serial, file]])),
  );
}

function rootOf(mount: MountDevice | undefined): GuestRoot {
  if (mount === undefined || mount.guest.type === 'bind')
    throw new Error('validateConfig() lets no directory inside replace the root');
  return mount.guest;
}
