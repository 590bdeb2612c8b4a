/** The defaults of a sandbox. */
import { machine } from 'node:os';
import { MIB } from './parsers/size.js';
import type { Identity, SandboxConfig, Security, Tuning } from './types.js';

/** Memory of the machine, in bytes. */
export const DEFAULT_MEMORY = 512 * MIB;

/** How long the guest may take to start the command, in milliseconds. */
export const DEFAULT_BOOT_TIMEOUT = 60_000;

export const DEFAULT_SECURITY: Security = { mode: 'dynamic', label: undefined };

export const NO_TUNING: Tuning = {
  cpuShares: undefined,
  cpuPin: [],
  cpuQuota: undefined,
  cpuPeriod: undefined,
  cpuScheduler: undefined,
  numa: [],
  numaNodes: undefined,
  memoryLimit: undefined,
  memorySoftLimit: undefined,
  memorySwapLimit: undefined,
  hugePages: undefined,
  blockWeight: undefined,
  ioThreads: undefined,
  diskLimits: [],
  networkLimits: [],
};

/**
 * A sandbox with every default. Its command is empty, which {@link validateConfig} refuses: there is no default
 * program.
 */
export function defaultConfig(identity: Identity): SandboxConfig {
  return {
    name: undefined,
    uuid: undefined,
    root: { type: 'directory', path: '/' },
    rootFs: 'auto',
    rootCache: 'auto',
    overlay: undefined,
    arch: machine(),
    kernel: { version: undefined, path: undefined, modulesPath: undefined },
    image: undefined,
    profile: undefined,
    memory: DEFAULT_MEMORY,
    vcpus: 1,
    acceleration: 'auto',
    requireKvm: false,
    nestedKvm: false,
    boot: 'auto',
    identity,
    privileged: undefined,
    userNamespaces: false,
    hidden: { secrets: true, paths: [] },
    home: undefined,
    mounts: [],
    disks: [],
    networks: [],
    publish: [],
    security: DEFAULT_SECURITY,
    graphics: undefined,
    clipboard: 'none',
    sound: false,
    environment: [],
    cwd: undefined,
    shell: false,
    debug: false,
    verbose: false,
    tty: false,
    command: [],
    tuning: NO_TUNING,
    service: undefined,
    bootTimeout: DEFAULT_BOOT_TIMEOUT,
  };
}
