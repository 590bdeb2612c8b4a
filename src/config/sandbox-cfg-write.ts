/**
 * A sandbox as sandbox.cfg. Groups and keys come in libvirt-sandbox's order; what only this package knows follows in
 * keys and groups of its own, and only where it differs from the default, so that both write the same file.
 */
import { DEFAULT_BOOT_TIMEOUT, DEFAULT_MEMORY } from './defaults.js';
import { KeyFile } from './keyfile.js';
import { classOf, FORMAT_VERSION, MOUNT_CLASS, UNNAMED } from './sandbox-cfg-format.js';
import { pathBelow } from './sandbox-cfg-includes.js';
import { DISK_LIMITS, formatCpuSet } from './tuning.js';
import type { Bandwidth, Mount, Network, SandboxConfig } from './types.js';

/** What a file shows that is not in the sandbox. */
export interface WriteContext {
  /** The kernel's version when the sandbox does not say: the one that was found. */
  readonly kernelRelease?: string | undefined;
  /** The groups that the host gives to the sandbox's user; only others are written. */
  readonly hostGroups: readonly number[];
}

type Value = string | number | boolean | undefined;

/** Writes `config`; the opposite of `readSandboxCfg`. */
export function writeSandboxCfg(config: SandboxConfig, context: WriteContext): string {
  const file = new KeyFile('sandbox.cfg');
  put(file, 'api', { class: classOf(config), version: FORMAT_VERSION });
  putCore(file, config, context.kernelRelease);
  putIdentity(file, config, context.hostGroups);
  for (const [index, mount] of config.mounts.entries()) putMount(file, `mount.${index}`, mount);
  for (const [index, { key, value }] of config.environment.entries()) put(file, `env.${index}`, { key, value });
  for (const [index, { type, source, tag, format }] of config.disks.entries()) {
    put(file, `disk.${index}`, { type, source, tag, format });
  }
  for (const [index, network] of config.networks.entries()) putNetwork(file, `network.${index}`, network);
  const { label, mode } = config.security;
  put(file, 'security', { label, dynamic: mode === 'dynamic', inherit: mode === 'inherit' || undefined });
  putProgram(file, config);
  putMachine(file, config);
  putTuning(file, config);
  return file.toString();
}

/** Sets the keys that have a value, in order. */
function put(file: KeyFile, group: string, values: Readonly<Record<string, Value>>): void {
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined) file.set(group, key, value);
  }
}

/** `value`, but undefined where it is the default. */
function unless<T extends Value>(standard: T, value: T): T | undefined {
  return value === standard ? undefined : value;
}

function putCore(file: KeyFile, config: SandboxConfig, kernelRelease: string | undefined): void {
  put(file, 'core', {
    name: config.name ?? UNNAMED,
    uuid: config.uuid,
    root: config.root,
    arch: config.arch,
    kernrelease: config.kernel.version ?? kernelRelease,
    kernpath: config.kernel.path,
    kmodpath: config.kernel.modulesPath,
    shell: config.shell,
    debug: config.debug,
    verbose: config.verbose,
    cwd: config.cwd,
  });
}

function putIdentity(file: KeyFile, { identity, privileged }: SandboxConfig, hostGroups: readonly number[]): void {
  put(file, 'identity', {
    uid: identity.uid,
    gid: identity.gid,
    username: identity.username,
    homedir: identity.home,
    groups: unless(integerList(hostGroups), integerList(identity.groups)),
    privileged: unless(false, privileged),
  });
}

/** As GLib writes a list of integers: each with a `;` after it. */
function integerList(values: readonly number[]): string {
  return values.map((value) => `${value};`).join('');
}

function putMount(file: KeyFile, group: string, mount: Mount): void {
  put(file, group, { type: MOUNT_CLASS[mount.type], target: mount.target });
  if (mount.type === 'ram') put(file, group, { usage: mount.usage });
  else put(file, group, { format: mount.type === 'host-image' ? mount.format : undefined, source: mount.source ?? '' });
  if (mount.type === 'host-bind' || mount.type === 'host-image') {
    put(file, group, { readonly: unless(false, mount.readOnly) });
  }
  for (const [index, { target, source }] of mount.includes.entries()) {
    put(file, `${group}.include.${index}`, { dst: pathBelow(mount.target, target), src: source });
  }
}

/** The addresses and routes come before the interface that has them. */
function putNetwork(file: KeyFile, group: string, network: Network): void {
  for (const [index, { primary, broadcast, prefix }] of network.addresses.entries()) {
    put(file, `${group}.address.${index}`, { primary, broadcast, prefix });
  }
  for (const [index, { prefix, gateway, target }] of network.routes.entries()) {
    put(file, `${group}.route.${index}`, { prefix, gateway, target });
  }
  put(file, group, {
    dhcp: network.dhcp,
    source: network.source,
    mac: network.mac,
    addresses: network.addresses.length,
    routes: network.routes.length,
    filter: network.filter?.name,
  });
  put(file, `${group}.filter`, network.filter?.parameters ?? {});
}

function putProgram(file: KeyFile, { service, tty, command }: SandboxConfig): void {
  if (service?.type === 'systemd') {
    put(file, 'service', { bootTarget: service.bootTarget });
    return;
  }
  if (service === undefined) put(file, 'interactive', { tty });
  for (const [index, argument] of command.entries()) put(file, 'command', { [`argv.${index}`]: argument });
}

function putMachine(
  file: KeyFile,
  { memory, vcpus, acceleration, boot, image, profile, bootTimeout }: SandboxConfig,
): void {
  put(file, 'machine', {
    memory: unless(DEFAULT_MEMORY, memory),
    vcpus: unless(1, vcpus),
    acceleration: unless('auto', acceleration),
    boot: unless('auto', boot),
    image,
    profile,
    boottimeout: unless(DEFAULT_BOOT_TIMEOUT, bootTimeout),
  });
}

function putTuning(file: KeyFile, { tuning }: SandboxConfig): void {
  put(file, 'tuning', { cpushares: tuning.cpuShares, cpupin: unless('', formatCpuSet(tuning.cpuPin)) });
  for (const [position, { tag, limits }] of tuning.diskLimits.entries()) {
    const group = `tuning.disk.${position}`;
    put(file, group, { tag });
    for (const name of DISK_LIMITS) put(file, group, { [name]: limits[name] });
  }
  for (const [position, { index, inbound, outbound }] of tuning.networkLimits.entries()) {
    const group = `tuning.network.${position}`;
    put(file, group, { index, ...bandwidth('inbound', inbound), ...bandwidth('outbound', outbound) });
  }
}

function bandwidth(direction: string, limit: Bandwidth | undefined): Record<string, Value> {
  return {
    [`${direction}.average`]: limit?.average,
    [`${direction}.peak`]: limit?.peak,
    [`${direction}.burst`]: limit?.burst,
  };
}
