/**
 * What a sandbox is: the same whether it came from a command line, a sandbox.cfg or a program.
 * Sizes are bytes, unless a name says otherwise.
 */
import type { Clipboard, Graphics } from './graphics-types.js';
import type { Root, RootCache, RootFs } from './root-types.js';
import type { Tuning } from './tuning-types.js';

export type * from './graphics-types.js';
export type * from './root-types.js';
export type * from './tuning-types.js';

/** A directory of the host, mounted at `target`. */
export interface HostBindMount {
  readonly type: 'host-bind';
  readonly target: string;
  /** Host directory; undefined: a new empty one, which is removed afterwards. */
  readonly source: string | undefined;
  readonly readOnly: boolean;
  readonly includes: readonly Include[];
}

/** A disk image of the host whose file system is mounted at `target`. */
export interface HostImageMount {
  readonly type: 'host-image';
  readonly target: string;
  readonly source: string;
  /** A QEMU block format: raw, qcow2, … */
  readonly format: string;
  readonly readOnly: boolean;
  readonly includes: readonly Include[];
}

/** A directory of the guest, bound to a second path. */
export interface GuestBindMount {
  readonly type: 'guest-bind';
  readonly target: string;
  readonly source: string;
  readonly includes: readonly Include[];
}

/** An empty file system in memory. */
export interface RamMount {
  readonly type: 'ram';
  readonly target: string;
  /** Its largest size in bytes. */
  readonly usage: number;
  readonly includes: readonly Include[];
}

export type Mount = HostBindMount | HostImageMount | GuestBindMount | RamMount;

/**
 * A host file that is copied into the mount that covers `target`; of several the one with the longest target. That need
 * not be the mount that sandbox.cfg lists it under.
 */
export interface Include {
  /** Absolute path in the guest. */
  readonly target: string;
  /** Absolute path on the host. */
  readonly source: string;
}

/** A block device; in the guest it is /dev/disk/by-tag/`tag`. */
export interface Disk {
  readonly type: 'file' | 'block';
  readonly tag: string;
  readonly source: string;
  readonly format: string;
  readonly readOnly: boolean;
}

export interface NetworkAddress {
  readonly primary: string;
  /** 0 to 32 for IPv4, 0 to 128 for IPv6. */
  readonly prefix: number;
  readonly broadcast: string | undefined;
}

export interface NetworkRoute {
  readonly target: string;
  readonly prefix: number;
  readonly gateway: string;
}

export interface NetworkFilter {
  readonly name: string;
  /** nwfilter parameters by upper-case name. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** One network interface. */
export interface Network {
  readonly dhcp: boolean;
  /** A libvirt network; undefined: user networking. */
  readonly source: string | undefined;
  /** With user networking: the sandbox reaches every service of the host. Default: none of them. */
  readonly hostLoopback?: boolean | undefined;
  readonly mac: string | undefined;
  readonly addresses: readonly NetworkAddress[];
  readonly routes: readonly NetworkRoute[];
  readonly filter: NetworkFilter | undefined;
}

export type Protocol = 'tcp' | 'udp';

/** A port of the sandbox that is one of this host. */
export interface Publish {
  readonly protocol: Protocol;
  /** IP address of this host to listen at. */
  readonly address: string;
  /** 1 to 65535; 0: a free one. */
  readonly hostPort: number;
  /** 1 to 65535. */
  readonly guestPort: number;
}

/** What the sandbox does not see of its root. */
export interface Hidden {
  /** Hide where programs keep the user's keys: src/config/secrets.ts */
  readonly secrets: boolean;
  /** More paths inside, absolute. */
  readonly paths: readonly string[];
}

/** Where what is written to the root goes, which stays as it is itself. */
export type Overlay =
  /** Memory of the sandbox. It is gone at the end. */
  | { readonly type: 'memory' }
  /** A directory of this host, or a disk image in qcow2. It is kept, and a later sandbox goes on with it. */
  | { readonly type: 'directory' | 'image'; readonly path: string };

/** What the home directory of the user inside is. */
export type Home =
  | { readonly type: 'tmp' /** An empty one in memory, gone at the end. */ }
  | { readonly type: 'host' /** That of the root, as it is. */ }
  | { readonly type: 'directory' /** A directory of the host, which is kept. */; readonly path: string };

export interface Security {
  readonly mode: 'dynamic' | 'static' | 'inherit';
  readonly label: string | undefined;
}

/** The user that the application runs as. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly username: string;
  readonly home: string;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /**
   * The home that sandbox.cfg has for root, if it is not `home`. libvirt-sandbox writes there the home of the caller of
   * `--privileged`, and uses it for nothing.
   */
  readonly savedHome?: string | undefined;
}

export interface EnvironmentVariable {
  readonly key: string;
  readonly value: string;
}

/** The kernel that is booted. What is undefined is searched for. */
export interface KernelSelection {
  readonly version: string | undefined;
  readonly path: string | undefined;
  /** A directory that holds one module tree a kernel version, as /lib/modules does. */
  readonly modulesPath: string | undefined;
}

export type Acceleration = 'auto' | 'kvm' | 'tcg';

/** Start from a snapshot (`warm`), boot (`cold`), or start from a snapshot if one fits and else boot (`auto`). */
export type BootMode = 'auto' | 'cold' | 'warm';

/** A sandbox that is a service and not one interactive command: sandbox.cfg keeps the difference. */
export type Service = GenericService | SystemdService;

/** A command. */
export interface GenericService {
  readonly type: 'generic';
}

/** The systemd of the root. */
export interface SystemdService {
  readonly type: 'systemd';
  /** The unit that systemd boots to. */
  readonly bootTarget: string;
  /** Units of the root that are started, with what they need and nothing else; none: all that the target wants. */
  readonly units: readonly string[];
}

/** A sandbox. Every field has a value; for the defaults see `defaults.ts`. */
export interface SandboxConfig {
  /** undefined: a unique one is chosen. */
  readonly name: string | undefined;
  readonly uuid: string | undefined;
  readonly root: Root;
  readonly rootFs: RootFs;
  readonly rootCache: RootCache;
  /** undefined: the root is read-only. */
  readonly overlay: Overlay | undefined;
  readonly arch: string;
  readonly kernel: KernelSelection;
  /** Boot image by name, id, or directory (with a slash); undefined: one is found, else built. */
  readonly image: string | undefined;
  /** How the machine boots: a name or a path (profiles/); undefined: VIRT_SANDBOX_PROFILE, else `default`. */
  readonly profile: string | undefined;
  /** Memory of the machine in bytes. */
  readonly memory: number;
  readonly vcpus: number;
  readonly acceleration: Acceleration;
  /** Start nothing but a machine under KVM. */
  readonly requireKvm: boolean;
  /** Give the machine a processor with svm or vmx, so that its kernel can run machines under KVM. */
  readonly nestedKvm: boolean;
  readonly boot: BootMode;
  readonly identity: Identity;
  /**
   * Stay root inside, with every capability. Undefined if not set: the application then has no capabilities, and
   * sandbox.cfg mentions them only if it has other keys that libvirt-sandbox does not know.
   */
  readonly privileged: boolean | undefined;
  /** Let the application create user namespaces, in a machine without `privileged`. */
  readonly userNamespaces: boolean;
  readonly hidden: Hidden;
  /** undefined: that of the root, or where root's cannot be entered an empty one in memory. */
  readonly home: Home | undefined;
  readonly mounts: readonly Mount[];
  readonly disks: readonly Disk[];
  readonly networks: readonly Network[];
  readonly publish: readonly Publish[];
  readonly security: Security;
  /** undefined: no screen. */
  readonly graphics: Graphics | undefined;
  /** Other than `none`, it needs a screen with viewers. */
  readonly clipboard: Clipboard;
  /** A sound card, in a machine: what is played inside, the sound server of the caller plays, if there is one. */
  readonly sound: boolean;
  readonly environment: readonly EnvironmentVariable[];
  /** Working directory inside; undefined: home, else /. */
  readonly cwd: string | undefined;
  /** A debug root shell on a second console. */
  readonly shell: boolean;
  readonly debug: boolean;
  readonly verbose: boolean;
  /** Give the application a terminal. */
  readonly tty: boolean;
  /** Program and arguments; empty only for a sandbox that lives until it is stopped. */
  readonly command: readonly string[];
  readonly tuning: Tuning;
  /** undefined: interactive. */
  readonly service: Service | undefined;
  /** How long the guest may take to start the command, in milliseconds. */
  readonly bootTimeout: number;
}
