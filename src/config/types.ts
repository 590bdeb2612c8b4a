/**
 * What a sandbox is: the same whether it came from a command line, a sandbox.cfg or a program.
 * Sizes are bytes, unless a name says otherwise.
 */

/** A directory of the host, seen inside at `target`. */
export interface HostBindMount {
  readonly type: 'host-bind';
  readonly target: string;
  /** Host directory; undefined means a fresh empty one, removed afterwards. */
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

/** A directory that is already inside the sandbox, bound at a second place. */
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

/** A host file copied into the mount that covers `target`. */
export interface Include {
  /** Absolute path inside the sandbox. */
  readonly target: string;
  /** Absolute path on the host. */
  readonly source: string;
}

/** A block device, found inside as /dev/disk/by-tag/`tag`. */
export interface Disk {
  readonly type: 'file' | 'block';
  readonly tag: string;
  readonly source: string;
  readonly format: string;
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
  /** A libvirt network; undefined means user-mode networking. */
  readonly source: string | undefined;
  readonly mac: string | undefined;
  readonly addresses: readonly NetworkAddress[];
  readonly routes: readonly NetworkRoute[];
  readonly filter: NetworkFilter | undefined;
}

export interface Security {
  readonly mode: 'dynamic' | 'static' | 'inherit';
  readonly label: string | undefined;
}

/** Who the application runs as. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly username: string;
  readonly home: string;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

export interface EnvironmentVariable {
  readonly key: string;
  readonly value: string;
}

/** Which kernel is booted; what is undefined is found. */
export interface KernelSelection {
  readonly version: string | undefined;
  readonly path: string | undefined;
  /** A directory that holds one module tree a kernel version, as /lib/modules does. */
  readonly modulesPath: string | undefined;
}

export type Acceleration = 'auto' | 'kvm' | 'tcg';

/** A sandbox as it is asked for. Every field has a value: defaults are in `defaults.ts`. */
export interface SandboxConfig {
  /** undefined: a unique one is made. */
  readonly name: string | undefined;
  readonly uuid: string | undefined;
  readonly root: string;
  readonly arch: string;
  readonly kernel: KernelSelection;
  /** Memory of the machine in bytes. */
  readonly memory: number;
  readonly vcpus: number;
  readonly acceleration: Acceleration;
  readonly identity: Identity;
  /** Stay root inside, with every capability. */
  readonly privileged: boolean;
  readonly mounts: readonly Mount[];
  readonly disks: readonly Disk[];
  readonly networks: readonly Network[];
  readonly security: Security;
  readonly environment: readonly EnvironmentVariable[];
  /** Working directory inside; undefined: home, else /. */
  readonly cwd: string | undefined;
  /** A debug root shell on a second console. */
  readonly shell: boolean;
  readonly debug: boolean;
  readonly verbose: boolean;
  /** Give the application a terminal. */
  readonly tty: boolean;
  /** Program and arguments; never empty. */
  readonly command: readonly string[];
  /** How long the guest may take to answer, in milliseconds. */
  readonly bootTimeout: number;
}
