/**
 * What the common init is told: a sandbox as the guest sees it. Plain data, so that it can travel as JSON into a guest that runs the common
 * init itself.
 */

/** A directory that the host shares. */
export interface GuestShare {
  readonly type: '9p' | 'virtiofs';
  readonly tag: string;
  readonly readOnly: boolean;
}

/** A file system on a disk, which is found by its serial number. */
export interface GuestImage {
  readonly type: 'image';
  readonly serial: string;
  readonly filesystem: string;
  /** Data of mount(2). */
  readonly options: string;
  readonly readOnly: boolean;
}

/** A file system in memory. */
export interface GuestRam {
  readonly type: 'ram';
  /** Its largest size. */
  readonly bytes: number;
}

/** A directory of the host that libvirt has bound into a container: the root where it belongs, others to be moved there. */
export interface GuestStaged {
  readonly type: 'staged';
  readonly tag: string;
  readonly readOnly: boolean;
}

/** What becomes the root. */
export type GuestRoot = GuestShare | GuestImage | GuestRam | GuestStaged;

/** A mount to make, in order. */
export type GuestMount = { readonly target: string } & (
  | GuestShare
  | GuestImage
  | GuestRam
  | GuestStaged
  | { readonly type: 'bind'; readonly source: string }
);

/** A disk for the application: /dev/disk/by-tag/TAG. */
export interface GuestDisk {
  readonly tag: string;
  readonly serial: string;
}

/** Size of the application's terminal, in characters. */
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** An address of an interface; IPv4 or IPv6. */
export interface GuestAddress {
  readonly primary: string;
  readonly prefix: number;
  /** undefined: the usual one. */
  readonly broadcast: string | undefined;
}

/** One network interface. */
export interface GuestInterface {
  /** By which it is found. */
  readonly mac: string;
  readonly dhcp: boolean;
  readonly addresses: readonly GuestAddress[];
  readonly routes: readonly { readonly target: string; readonly prefix: number; readonly gateway: string }[];
}

/** Where names are looked up. */
export interface NameService {
  readonly servers: readonly string[];
  readonly search: readonly string[];
}

export interface GuestNetwork {
  readonly interfaces: readonly GuestInterface[];
  /** Path of the DHCP client inside, at the time when the network is set up. */
  readonly dhcpClient: string;
  /** How long a server may take to give a lease. */
  readonly dhcpSeconds: number;
  /** For interfaces without DHCP. */
  readonly names: NameService;
}

/** Root shells for a person, beside the application. */
export interface GuestShell {
  /** Where sessions come in: the name of a virtio-serial port, or the path of a terminal. */
  readonly sessions: string;
  /** A terminal that has a shell of its own, such as a serial line. */
  readonly console: string | undefined;
}

/** The application runs under strace. */
export interface GuestTrace {
  /** For strace -e; undefined: every system call. */
  readonly expression: string | undefined;
}

export interface GuestConfig {
  /** A machine's init has everything to set up; a container's is given devices, /proc and /sys by libvirt. */
  readonly platform: 'machine' | 'container';
  /** How many processors the kernel has left off; undefined: none. */
  readonly lateProcessors?: number;
  readonly hostname: string;
  readonly root: GuestRoot;
  readonly mounts: readonly GuestMount[];
  readonly disks: readonly GuestDisk[];
  /** Devices of disks by their serial numbers, where that is known; undefined: the kernel is asked. */
  readonly devices: Readonly<Record<string, string>> | undefined;
  /** undefined: none. */
  readonly shell?: GuestShell | undefined;
  readonly trace?: GuestTrace | undefined;
  readonly identity: {
    readonly uid: number;
    readonly gid: number;
    readonly groups: readonly number[];
    readonly username: string;
    readonly home: string;
  };
  /** Keep every capability. */
  readonly privileged: boolean;
  /** Variables that the person asked for; they win over the usual ones. */
  readonly environment: readonly { readonly key: string; readonly value: string }[];
  /** Devices that were not there when the machine was saved, for which it has to look. */
  readonly lateDevices?: boolean;
  /** Where on the PCI bus of a saved machine its disks and interfaces are: `0000:00:07.0`. */
  readonly slots?: readonly string[] | undefined;
  /** undefined: no interface but lo. */
  readonly network: GuestNetwork | undefined;
  /** undefined: the home directory, or / where that does not exist. */
  readonly cwd: string | undefined;
  readonly command: readonly string[];
  /** undefined: three pipes in place of a terminal. */
  readonly terminal: (TerminalSize & { readonly type: string }) | undefined;
}
