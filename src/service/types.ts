/** What a service is: a sandbox, and how it lives. */
import type { Overlay, SandboxConfig } from '../config/types.js';
import type { ServicePaths } from './paths.js';

/** When a service that has ended is started again. */
export type RestartPolicy = 'no' | 'on-failure' | 'always';

export const RESTART_POLICIES: readonly RestartPolicy[] = ['no', 'on-failure', 'always'];

/** What sandbox.cfg has of a service beside its sandbox. libvirt-sandbox ignores these keys of `[service]`. */
export interface ServiceSettings {
  /** URI of libvirt; undefined: that of virt-sandbox. */
  readonly connect: string | undefined;
  readonly restart: RestartPolicy;
  /** The host's systemd starts it at boot; that of an ordinary user, when the user logs in. */
  readonly autostart: boolean;
  /** Words for a shell inside. The service is ready when they first succeed; undefined: when its command runs. */
  readonly health: string | undefined;
  /** Milliseconds between two checks of a service that runs. */
  readonly healthInterval: number;
  /** Milliseconds that it may take to be ready. */
  readonly startTimeout: number;
  /** Milliseconds that it may take to end by itself. */
  readonly stopTimeout: number;
  /** SELinux type of the files of its state; undefined: that of the directory which they are in. */
  readonly filetype: string | undefined;
  /** Packages whose files were looked at, beside those of the units. */
  readonly packages: readonly string[];
  /** Files that only root may read on the host, and that were copied: paths inside. */
  readonly copied: readonly string[];
}

export const DEFAULT_SETTINGS: ServiceSettings = {
  connect: undefined,
  restart: 'no',
  autostart: false,
  health: undefined,
  healthInterval: 30_000,
  startTimeout: 120_000,
  stopTimeout: 30_000,
  filetype: undefined,
  packages: [],
  copied: [],
};

/** A state that is kept. */
export type KeptState = Extract<Overlay, { readonly path: string }>;

/** A service that is on this host. */
export interface Service {
  readonly name: string;
  readonly paths: ServicePaths;
  readonly config: SandboxConfig;
  readonly settings: ServiceSettings;
}
