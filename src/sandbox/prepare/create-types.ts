/** What a sandbox is made of, for programs. */
import type { Duration } from '../../config/parsers/duration.js';
import type { Size } from '../../config/parsers/size.js';
import type {
  DirectoryRoot,
  Disk,
  EnvironmentVariable,
  Graphics,
  GuestBindMount,
  Home,
  HostBindMount,
  HostImageMount,
  Identity,
  ImageRoot,
  Network,
  NetworkAddress,
  Publish,
  RamMount,
  SandboxConfig,
  Tuning,
} from '../../config/types.js';
import type { StartOptions } from '../types.js';

/** Each key may be left out, or be undefined. */
type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };
/** Only the given keys have to be there. */
type Loose<T, Given extends keyof T> = Pick<T, Given> & Optional<Omit<T, Given>>;
type LooseMount =
  | Loose<HostBindMount, 'type' | 'target'>
  | Loose<HostImageMount, 'type' | 'target' | 'source'>
  | Loose<GuestBindMount, 'type' | 'target' | 'source'>
  | (Loose<Omit<RamMount, 'usage'>, 'type' | 'target'> & { readonly usage: Size });
type LooseNetwork = Optional<
  Omit<Network, 'addresses'> & { readonly addresses: readonly Loose<NetworkAddress, 'primary' | 'prefix'>[] }
>;
type LooseRoot =
  | DirectoryRoot
  | (Loose<Omit<ImageRoot, 'image' | 'platform'>, 'type'> & {
      /** `docker://NAME`, `oci:DIR[:TAG]`, `docker-archive:FILE`, `oci-archive:FILE`, `tar:FILE` */
      readonly image: string | ImageRoot['image'];
      /** `linux/arm64` */
      readonly platform?: string | ImageRoot['platform'];
    });
type MemoryLimit = 'memoryLimit' | 'memorySoftLimit' | 'memorySwapLimit';
type LooseTuning = Optional<Omit<Tuning, MemoryLimit> & Readonly<Record<MemoryLimit, Size>>>;

/** What files of libvirt-sandbox say, and no program has to. */
type OnlyInFiles = 'arch' | 'service' | 'debug' | 'verbose';
type OfOneCommand = 'command' | 'tty';
/** They have a shorter form. */
type Nested =
  | 'root'
  | 'kernel'
  | 'hidden'
  | 'home'
  | 'overlay'
  | 'graphics'
  | 'security'
  | 'mounts'
  | 'disks'
  | 'networks'
  | 'publish'
  | 'environment'
  | 'tuning'
  | 'identity';

/**
 * Everything has a default. Where a text is possible, it is that of the option of this name on the command line: a mount
 * is `host-bind:/src=.,ro`, a size is `512M`.
 */
interface SandboxSettings
  extends Optional<Omit<SandboxConfig, OnlyInFiles | OfOneCommand | Nested | 'memory' | 'bootTimeout'>> {
  readonly identity?: Omit<Identity, 'savedHome'> | undefined;
  /** A directory of this host, or the name of an image: `docker://NAME`, `oci:DIR`. */
  readonly root?: string | LooseRoot | undefined;
  readonly kernel?: Optional<SandboxConfig['kernel']> | undefined;
  /** True: in memory. A text: as of `--overlay`. */
  readonly overlay?: boolean | string | SandboxConfig['overlay'];
  /** True: as of `--graphics`. A text: what that option has. */
  readonly graphics?: boolean | string | Optional<Graphics> | undefined;
  readonly hidden?: Optional<SandboxConfig['hidden']> | undefined;
  /** `tmp`, `host`, or the path of a directory of this host. */
  readonly home?: string | Home | undefined;
  readonly security?: Loose<SandboxConfig['security'], 'mode'> | undefined;
  /** Bytes, or a text. */
  readonly memory?: Size | undefined;
  readonly mounts?: readonly (string | LooseMount)[] | undefined;
  readonly disks?: readonly (string | Loose<Disk, 'tag' | 'source'>)[] | undefined;
  readonly networks?: readonly (string | LooseNetwork)[] | undefined;
  /** A number is a port inside; it becomes a free one of 127.0.0.1. */
  readonly publish?: readonly (string | number | Loose<Publish, 'guestPort'>)[] | undefined;
  readonly environment?: Readonly<Record<string, string>> | readonly EnvironmentVariable[] | undefined;
  readonly tuning?: LooseTuning | undefined;
  /** How long the guest may take to start. Milliseconds, or a text: `500ms`, `5s`, `2m`. At most a day. */
  readonly bootTimeout?: Duration | undefined;
}

/** The command, and whatever differs from the defaults. */
export interface SandboxOptions extends SandboxSettings, Pick<SandboxConfig, 'command'> {
  /** Give the application a terminal. */
  readonly tty?: boolean | undefined;
}

/** A sandbox without a command, and the options of its start. */
export interface CreateOptions
  extends SandboxSettings,
    Omit<StartOptions, 'terminal' | 'terminalFd' | 'trace' | 'breakpoint' | 'image' | 'profile' | 'timeLimit'> {}
