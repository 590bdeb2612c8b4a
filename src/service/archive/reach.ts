/**
 * What the service of an archive would have on this host beside its own state, as sentences. Each key of a sandbox is
 * in the table, so a new one is not forgotten.
 */
import { quote } from '../../config/errors.js';
import { rootText } from '../../config/root.js';
import type { Mount, Network, SandboxConfig } from '../../config/types.js';
import { kindOf } from '../../libvirt/connect.js';
import type { Described } from '../file.js';

type Look = (config: SandboxConfig) => readonly string[];

/** It is of the sandbox alone. */
const OWN: Look = () => [];

const LOOPBACK = /^(?:127\.|::1$)/;

const LOOKS: Readonly<Record<keyof SandboxConfig, Look>> = {
  name: OWN,
  uuid: OWN,
  root: ({ root }) =>
    root.type === 'directory' && root.path === '/' ? [] : [`its root is ${quote(rootText(root))} and not this host's`],
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
  hidden: ({ hidden }) => (hidden.secrets ? [] : ['it sees where programs keep keys of users']),
  home: ({ home }) => (home?.type === 'directory' ? [`its home is the directory ${quote(home.path)}`] : []),
  mounts: ({ mounts }) => mounts.flatMap(mounted),
  disks: ({ disks }) => disks.map(({ source }) => `it has the disk ${quote(source)}`),
  networks: ({ networks }) => networks.map(connected),
  publish: ({ publish }) =>
    publish.flatMap(({ address, hostPort }) =>
      LOOPBACK.test(address) ? [] : [`it listens at ${address}:${hostPort}, not of this host alone`],
    ),
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

/** What a service reaches; nothing: its state and what everybody may read. */
export function reachOf({ config, settings }: Described): string[] {
  const { connect, autostart, copied } = settings;
  const kind = connect === undefined ? undefined : kindOf(connect);
  return [
    ...(kind === 'lxc' ? ['it is a container, with the kernel of this host'] : []),
    ...(kind === 'lxc' && config.identity.uid !== 0 ? [`it reads what the user ${config.identity.uid} may read`] : []),
    ...(kind === 'system' ? [`it runs over ${connect}`] : []),
    ...(autostart ? ['it is started when this host boots'] : []),
    ...copied.map((path) => `an upgrade of it copies ${quote(path)}`),
    ...Object.values(LOOKS).flatMap((look) => look(config)),
  ];
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
