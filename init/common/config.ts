/**
 * A sandbox as the guest sees it: the input of the common init. It is plain data, so it can travel as JSON into a guest
 * that runs the common init itself.
 */

import type { IdMap } from '../../src/protocol/operations.js';

/** What the guest keeps of a share that it has read: what it can without being stale, nothing, or all. */
export type ShareCache = 'auto' | 'never' | 'always';

/** A directory that the host shares. */
export interface GuestShare {
  readonly type: '9p' | 'virtiofs';
  readonly tag: string;
  readonly readOnly: boolean;
  /** Undefined: `auto`. */
  readonly cache?: ShareCache | undefined;
}

/** A file system on a disk. The guest finds the disk by its serial number. */
export interface GuestImage {
  readonly type: 'image';
  readonly serial: string;
  readonly filesystem: string;
  /** The `data` argument of mount(2). */
  readonly options: string;
  readonly readOnly: boolean;
}

/** A tmpfs. */
export interface GuestRam {
  readonly type: 'ram';
  /** Its largest size, in bytes. */
  readonly bytes: number;
}

/**
 * A directory of the host that libvirt has bound into a container. The root is bound at its final path; the common init
 * moves all others.
 */
export interface GuestStaged {
  readonly type: 'staged';
  readonly tag: string;
  /** Files have, inside, the owners that they have on the host; else those of other users belong to nobody. */
  readonly keepsOwners: boolean;
  readonly readOnly: boolean;
}

/** The file system that becomes the root. */
export type GuestRoot = GuestShare | GuestImage | GuestRam | GuestStaged;

/** Where what is written to the root of a machine goes. */
export type GuestOverlay =
  /** A tmpfs. */
  | (Topmost & { readonly type: 'ram' })
  /** A disk with ext4, whose layers may be those of an earlier sandbox. */
  | (Topmost & {
      readonly type: 'image';
      readonly serial: string;
      /** The id of an OCI image's file system, if that is the root: the disk was made for it. */
      readonly of?: string | undefined;
    })
  /** A directory of the host with the layers in it, which may be those of an earlier sandbox. */
  | { readonly type: 'virtiofs'; readonly tag: string };

/** What the topmost directory of a new layer has of the root. */
interface Topmost {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * What is written to the root of a container goes into a tmpfs of its own, or is kept: init/common/root-overlay.ts. If
 * the root is an image, it is that of an OCI image, and is mounted with the overlay.
 */
export interface GuestRootOverlay {
  /** Path of the program that makes it, before the init switches to the root. */
  readonly program: string;
  /** The largest size of the tmpfs. */
  readonly bytes: number;
  /** Where libvirt has bound the directory that keeps it; undefined: it is in the tmpfs. */
  readonly kept?: string | undefined;
}

/** A mount. Mounts are made in the order of the config. */
export type GuestMount = { readonly target: string } & (
  | GuestShare
  | GuestImage
  | GuestRam
  | GuestStaged
  | { readonly type: 'bind'; readonly source: string }
);

/** A disk for the application, linked as /dev/disk/by-tag/TAG. */
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
  /** Undefined: all ones behind the prefix. */
  readonly broadcast: string | undefined;
}

/** One network interface. */
export interface GuestInterface {
  /** The guest finds the interface by this hardware address. */
  readonly mac: string;
  readonly dhcp: boolean;
  readonly addresses: readonly GuestAddress[];
  readonly routes: readonly { readonly target: string; readonly prefix: number; readonly gateway: string }[];
}

/** What resolv.conf(5) is made of. */
export interface NameService {
  readonly servers: readonly string[];
  readonly search: readonly string[];
}

export interface GuestNetwork {
  readonly interfaces: readonly GuestInterface[];
  /** Path of the DHCP client in the guest, before the root is mounted. */
  readonly dhcpClient: string;
  /** How long to wait for a lease, in seconds. */
  readonly dhcpSeconds: number;
  /** Name servers for interfaces without DHCP. */
  readonly names: NameService;
}

/** Root shells beside the application, for debugging. */
export interface GuestShell {
  /** Where the init accepts sessions: the name of a virtio-serial port, or the path of a terminal. */
  readonly sessions: string;
  /** A terminal to run one more shell on, such as a serial line; undefined: none. */
  readonly console: string | undefined;
}

/** How strace traces the application. */
export interface GuestTrace {
  /** Argument of `strace -e`; undefined: every system call. */
  readonly expression: string | undefined;
}

/** A screen, with a keyboard and a pointer. */
export interface GuestScreen {
  /**
   * What shows the application: `auto` is the first that the root has, `none` the application itself. `xvnc`: there is no
   * card, and the application is shown by a VNC server.
   */
  readonly compositor: 'auto' | 'cage' | 'xorg' | 'weston' | 'none' | 'xvnc';
  /** In pixels. */
  readonly width: number;
  readonly height: number;
  /** The path inside of what reads and writes the clipboard. Before it is found, true: it is wanted. */
  readonly clipboard?: string | true | undefined;
  /** Of the compositor, when it runs. */
  readonly pid?: number | undefined;
  /** By which its size is changed, when a compositor runs. */
  readonly display?: GuestDisplay | undefined;
}

/** What shows programs, and how a program talks to it. */
export interface GuestDisplay {
  readonly compositor: 'cage' | 'xorg' | 'weston';
  /** Path of its socket. */
  readonly socket: string;
  /** Path of the socket of X11 at which it starts Xwayland, as soon as somebody connects. */
  readonly xwayland?: string | undefined;
  /** Path of what the card says of its screen: EDID. */
  readonly edid: string;
}

/** A path that is covered with an empty directory or file. */
export interface GuestHidden {
  readonly path: string;
  readonly isDirectory: boolean;
}

/** An empty home in memory. */
export interface GuestHome {
  /** False: the sandbox can do without it. */
  readonly isAsked: boolean;
  /** How many mounts are made before it: it may be in one of them. */
  readonly after: number;
}

/** The systemd of the root is the application: init/common/systemd.ts */
export interface GuestSystemd {
  /** The unit that it boots to. */
  readonly bootTarget: string;
  /** What it starts instead, with what that needs; none: all that `bootTarget` wants. */
  readonly units: readonly string[];
  /** 32 hexadecimal digits. */
  readonly machineId: string;
  /** The same, of this run. */
  readonly bootId: string;
  /** The path of the container's control group, in which systemd gets one; undefined: a machine. */
  readonly group?: string | undefined;
  /** The journal is on the overlay, which is kept; else in memory. */
  readonly keepsJournal: boolean;
}

export interface GuestConfig {
  /** In a container libvirt has set up devices, /proc and /sys already. */
  readonly platform: 'machine' | 'container';
  /** How many processors the kernel has left offline; undefined: none. */
  readonly lateProcessors?: number;
  readonly hostname: string;
  readonly root: GuestRoot;
  /** Undefined: the root is mounted as it is. */
  readonly overlay?: GuestOverlay | undefined;
  /** Undefined, and always in a machine: a container's root is read-only. */
  readonly rootOverlay?: GuestRootOverlay | undefined;
  readonly mounts: readonly GuestMount[];
  readonly disks: readonly GuestDisk[];
  /** Paths of block devices by serial number; undefined: the guest looks for them in /sys. */
  readonly devices: Readonly<Record<string, string>> | undefined;
  /** Undefined: none. */
  readonly shell?: GuestShell | undefined;
  readonly trace?: GuestTrace | undefined;
  readonly identity: {
    readonly uid: number;
    readonly gid: number;
    readonly groups: readonly number[];
    readonly username: string;
    readonly home: string;
  };
  /** Undefined: the home is what the root and the mounts have there. */
  readonly home?: GuestHome | undefined;
  /** What to cover, in a container; a machine's root comes without it. */
  readonly hidden?: readonly GuestHidden[] | undefined;
  /** The application keeps every capability. */
  readonly privileged: boolean;
  /** Ids of the user namespace that the application of a container runs in; undefined: it has the host's ids. */
  readonly idMap?: IdMap | undefined;
  /** An application without capabilities may create user namespaces; default false. */
  readonly userNamespaces?: boolean;
  /** The root is that of an OCI image, and has what other engines give to one: init/common/oci-root.ts. Default: false. */
  readonly ociRoot?: boolean | undefined;
  /** Root inside has the capabilities that services have, and any user may have ports below 1024. Default: false. */
  readonly service?: boolean | undefined;
  /** The working directory of an OCI image, to be made in its root if it is missing; in a container it has no link. */
  readonly madeDirectory?: string | undefined;
  /** Variables of the config. They override the usual ones. */
  readonly environment: readonly { readonly key: string; readonly value: string }[];
  /** The restored machine has devices that it did not have when it was saved, so the guest rescans the PCI bus. */
  readonly lateDevices?: boolean;
  /** PCI addresses of the slots with this sandbox's disks and interfaces, on a restored machine: `0000:00:07.0`. */
  readonly slots?: readonly string[] | undefined;
  /**
   * The machine is saved with its root, in which /sys is read-only: one that can be written to goes with what the init
   * keeps, for the slots of those who go on from it. Default: false.
   */
  readonly keepsSys?: true | undefined;
  /** The machine was saved so. Default: false. */
  readonly hasKeptSys?: true | undefined;
  /** Undefined: no interface but lo. */
  readonly network: GuestNetwork | undefined;
  /** Undefined: the home directory, or / if that does not exist. */
  readonly cwd: string | undefined;
  /** Undefined: none. */
  readonly screen?: GuestScreen | undefined;
  /** A sound card, which is the application's. Undefined: none. */
  readonly hasSound?: true | undefined;
  /** Undefined: the application is any other program. */
  readonly systemd?: GuestSystemd | undefined;
  /** Program and arguments; empty: no application. */
  readonly command: readonly string[];
  /** In milliseconds; undefined: none. */
  readonly timeLimit?: number | undefined;
  /** Undefined: three pipes instead of a terminal. */
  readonly terminal: (TerminalSize & { readonly type: string }) | undefined;
}
