/**
 * What the service of an archive would have on this host beside its own state, as sentences. Each key of a sandbox, and
 * of a service, is in a table, so a new one is not forgotten.
 */
import { quote } from '../../config/errors.js';
import { listenText } from '../../config/parsers/graphics.js';
import { rootText } from '../../config/root.js';
import type { Mount, Network, Publish, Root, SandboxConfig } from '../../config/types.js';
import { kindOf } from '../../libvirt/connect.js';
import type { Described } from '../file.js';
import type { Scope } from '../paths.js';
import type { ServiceSettings } from '../types.js';

type Look = (config: SandboxConfig, scope: Scope) => readonly string[];
type SettingLook = (settings: ServiceSettings, config: SandboxConfig) => readonly string[];

/** It is of the sandbox alone. */
const OWN = () => [];

const LOOPBACK = /^(?:127\.|::1$)/;
/** Ports below are for root alone. */
const FIRST_FREE_PORT = 1024;

const LOOKS: Readonly<Record<keyof SandboxConfig, Look>> = {
  name: OWN,
  uuid: OWN,
  root: ({ root }, scope) => (root.type === 'image' ? ofImage(root) : ofDirectory(root.path, scope)),
  rootFs: OWN,
  rootCache: OWN,
  // It is put elsewhere.
  overlay: OWN,
  arch: OWN,
  kernel: ({ kernel: { version, path, modulesPath } }) =>
    [version, path, modulesPath].flatMap((value) =>
      value === undefined ? [] : [`it boots the kernel ${quote(value)}`],
    ),
  image: ({ image }) => (image === undefined ? [] : [`it boots the image ${quote(image)}`]),
  profile: ({ profile }) => (profile === undefined ? [] : [`it boots with the profile ${quote(profile)}`]),
  memory: OWN,
  vcpus: OWN,
  acceleration: OWN,
  requireKvm: OWN,
  nestedKvm: ({ nestedKvm }) => (nestedKvm ? ['it runs machines under KVM'] : []),
  boot: OWN,
  identity: OWN,
  privileged: ({ privileged, service }) =>
    privileged === true && service?.type !== 'systemd' ? ['its root has every capability'] : [],
  userNamespaces: ({ userNamespaces }) => (userNamespaces ? ['it makes user namespaces'] : []),
  graphics: ({ graphics }) => [
    ...(graphics?.viewers === 'xvnc' ? ['viewers of its screen talk to a program inside'] : []),
    ...(graphics?.listen === undefined
      ? []
      : [`its screen is at ${quote(listenText(graphics.listen))}, with a password`]),
  ],
  clipboard: ({ clipboard }) => (clipboard === 'none' ? [] : ['it gets what is copied where its screen is viewed']),
  sound: ({ sound }) => (sound ? ['it plays on the sound server of whoever starts it'] : []),
  hidden: ({ hidden }) => (hidden.secrets ? [] : ['it sees where programs keep keys of users']),
  home: ({ home }) => (home?.type === 'directory' ? [`its home is the directory ${quote(home.path)}`] : []),
  mounts: ({ mounts }) => mounts.flatMap(mounted),
  disks: ({ disks }) => disks.map(({ source }) => `it has the disk ${quote(source)}`),
  networks: ({ networks }) => networks.map(connected),
  publish: ({ publish }, scope) => publish.flatMap((port) => published(port, scope)),
  security: ({ security: { mode, label } }) =>
    mode === 'dynamic' && label === undefined ? [] : [`it is confined with ${quote(label ?? mode)}`],
  environment: OWN,
  cwd: OWN,
  shell: OWN,
  debug: OWN,
  verbose: OWN,
  tty: OWN,
  command: OWN,
  tuning: ({ tuning: { cpuPin, cpuScheduler, numa, numaNodes, hugePages } }) =>
    cpuPin.length + numa.length === 0 && [cpuScheduler, numaNodes, hugePages].every((value) => value === undefined)
      ? []
      : ["it chooses this host's processors or memory"],
  service: OWN,
  bootTimeout: OWN,
};

const SETTINGS: Readonly<Record<keyof ServiceSettings, SettingLook>> = {
  connect: ({ connect }, { identity: { uid } }) => {
    const kind = connect === undefined ? undefined : kindOf(connect);
    if (kind === 'system') return [`it runs over ${connect}`];
    if (kind !== 'lxc') return [];
    const reads = uid === 0 ? [] : [`it reads what the user ${uid} may read`];
    return ['it is a container, with the kernel of this host', ...reads];
  },
  restart: OWN,
  autostart: ({ autostart }) => (autostart ? ['it is started when this host boots'] : []),
  // It runs inside.
  health: OWN,
  healthInterval: OWN,
  startTimeout: OWN,
  stopTimeout: OWN,
  filetype: ({ filetype }) => (filetype === undefined ? [] : [`its files have the type ${quote(filetype)}`]),
  // Names of what was copied; an upgrade copies `copied` only.
  packages: OWN,
  copied: ({ copied }) => copied.map((path) => `an upgrade of it copies ${quote(path)}`),
};

/** What a service reaches; nothing: of root's its state and what everybody may read. */
export function reachOf({ config, settings }: Described, scope: Scope): string[] {
  return [
    ...Object.values(SETTINGS).flatMap((look) => look(settings, config)),
    ...Object.values(LOOKS).flatMap((look) => look(config, scope)),
  ];
}

/** A user's QEMU serves the root with the rights of that user. */
function ofDirectory(path: string, scope: Scope): string[] {
  const reads = scope === 'user' ? ['it reads the files that you may read'] : [];
  return path === '/' ? reads : [`its root is ${quote(path)} and not this host's`, ...reads];
}

function ofImage(root: Extract<Root, { readonly type: 'image' }>): string[] {
  return [
    `its root is ${quote(rootText(root))} and not this host's`,
    ...(root.authFile === undefined ? [] : [`passwords for its registry are those in ${quote(root.authFile)}`]),
    ...(root.tlsVerify ? [] : ['nobody vouches for its registry']),
    ...(root.publishAll ? ['it listens at each port that its image names'] : []),
  ];
}

/** The port 0 is any that is free. */
function published({ address, hostPort }: Publish, scope: Scope): string[] {
  if (!LOOPBACK.test(address)) return [`it listens at ${address}:${hostPort}, not of this host alone`];
  // What a user's service reads others of this host would read there.
  const isSaid = scope === 'user' || (hostPort > 0 && hostPort < FIRST_FREE_PORT);
  return isSaid ? [`it listens at ${address}:${hostPort}`] : [];
}

function mounted(mount: Mount): string[] {
  const includes = mount.includes.map(({ source }) => `it has a copy of ${quote(source)}`);
  const isOfHost = mount.type === 'host-bind' || mount.type === 'host-image';
  return isOfHost && mount.source !== undefined ? [`it has ${quote(mount.source)}`, ...includes] : includes;
}

function connected({ source, hostLoopback }: Network): string {
  if (source !== undefined) return `it is in the network ${quote(source)}`;
  return hostLoopback === true ? 'it has a network, and reaches every service of this host' : 'it has a network';
}
