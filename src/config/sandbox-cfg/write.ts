/**
 * Writes a sandbox as sandbox.cfg. Groups and keys are in libvirt-sandbox's order. What only this package has follows
 * in keys and groups of its own, and only if it is not the default, so that both write the same file.
 */
import { DEFAULT_BOOT_TIMEOUT, DEFAULT_MEMORY } from '../defaults.js';
import { isRoot } from '../identity.js';
import { pathBelow } from '../include-mount.js';
import { listenText } from '../parsers/graphics.js';
import { publishText } from '../parsers/publish.js';
import { type ImageRootTexts, imageTexts, rootText } from '../root.js';
import type { Mount, Network, SandboxConfig } from '../types.js';
import { classOf, FORMAT_VERSION, IMAGE_KEYS, MOUNT_CLASS, UNNAMED, type Value, type Values } from './format.js';
import { KeyFile } from './keyfile.js';
import { tuningGroups } from './write-tuning.js';

/** What the file needs and the sandbox does not have. */
export interface WriteContext {
  /** The version of the kernel that was found, for a sandbox that names none. */
  readonly kernelRelease?: string | undefined;
  /** The groups that the host gives the sandbox's user. The file has groups only if they differ. */
  readonly hostGroups: readonly number[];
}

/** The inverse of `readSandboxCfg`. */
export function writeSandboxCfg(config: SandboxConfig, context: WriteContext): string {
  const writer = new Writer();
  writer.put('api', { class: classOf(config), version: FORMAT_VERSION });
  putCore(writer, config, context.kernelRelease);
  putIdentity(writer, config, context.hostGroups);
  for (const [index, mount] of config.mounts.entries()) putMount(writer, `mount.${index}`, mount);
  for (const [index, { key, value }] of config.environment.entries()) writer.put(`env.${index}`, { key, value });
  for (const [index, { type, source, tag, format, readOnly }] of config.disks.entries()) {
    writer.put(`disk.${index}`, { type, source, tag, format });
    writer.putOwn(`disk.${index}`, { readonly: unless(false, readOnly) });
  }
  for (const [index, network] of config.networks.entries()) putNetwork(writer, `network.${index}`, network);
  const texts = imageTexts(config.root);
  for (const [name, key] of Object.entries(IMAGE_KEYS) as [keyof ImageRootTexts, string][])
    writer.putOwn('root', { [key]: texts[name] });
  writer.hasOwn ||= config.root.type === 'image';
  writer.putOwn('overlay', { ...config.overlay });
  putGraphics(writer, config);
  const { label, mode } = config.security;
  writer.put('security', { label, dynamic: mode === 'dynamic' });
  writer.putOwn('security', { inherit: mode === 'inherit' || undefined, userns: config.userNamespaces || undefined });
  writer.putOwn('hide', { secrets: unless(true, config.hidden.secrets) });
  for (const [index, path] of config.hidden.paths.entries()) writer.putOwn('hide', { [`path.${index}`]: path });
  const { home } = config;
  writer.putOwn('home', { type: home?.type, path: home?.type === 'directory' ? home.path : undefined });
  for (const [index, port] of config.publish.entries())
    writer.putOwn('publish', { [`port.${index}`]: publishText(port) });
  putProgram(writer, config);
  putMachine(writer, config);
  for (const [group, values] of tuningGroups(config.tuning)) writer.putOwn(group, values);
  // The file has keys that libvirt-sandbox does not know anyway, so it can also say that root has no capabilities.
  if (writer.hasOwn && isRoot(config.identity) && config.privileged === undefined) {
    writer.putOwn('identity', { privileged: false });
  }
  return writer.file.toString();
}

class Writer {
  readonly file = new KeyFile('sandbox.cfg');
  /** Whether the file has a key that libvirt-sandbox does not write. */
  hasOwn = false;

  /** Sets the keys that have a value, in order. */
  put(group: string, values: Values): void {
    for (const [key, value] of Object.entries(values)) {
      if (value !== undefined) this.file.set(group, key, value);
    }
  }

  /** The same for keys that only this package has. */
  putOwn(group: string, values: Values): void {
    this.put(group, values);
    this.hasOwn ||= Object.values(values).some((value) => value !== undefined);
  }
}

/** `value`; undefined if it is the default. */
function unless<T extends Value>(standard: T, value: T): T | undefined {
  return value === standard ? undefined : value;
}

function putCore(writer: Writer, config: SandboxConfig, kernelRelease: string | undefined): void {
  writer.put('core', {
    name: config.name ?? UNNAMED,
    uuid: config.uuid,
    root: rootText(config.root),
    arch: config.arch,
    kernrelease: config.kernel.version ?? kernelRelease,
    kernpath: config.kernel.path,
    kmodpath: config.kernel.modulesPath,
    shell: config.shell,
    debug: config.debug,
    verbose: config.verbose,
  });
  writer.putOwn('core', { cwd: config.cwd });
}

function putIdentity(writer: Writer, { identity, privileged }: SandboxConfig, hostGroups: readonly number[]): void {
  writer.put('identity', {
    uid: identity.uid,
    gid: identity.gid,
    username: identity.username,
    homedir: identity.savedHome ?? identity.home,
  });
  writer.putOwn('identity', {
    groups: unless(integerList(hostGroups), integerList(identity.groups)),
    // Only if libvirt-sandbox would treat such a user in another way.
    privileged: unless(isRoot(identity), privileged),
  });
}

/** A list of integers in GLib's syntax: each with a `;` after it. */
function integerList(values: readonly number[]): string {
  return values.map((value) => `${value};`).join('');
}

function putMount(writer: Writer, group: string, mount: Mount): void {
  writer.put(group, { type: MOUNT_CLASS[mount.type], target: mount.target });
  if (mount.type === 'ram') writer.put(group, { usage: mount.usage });
  else
    writer.put(group, { format: mount.type === 'host-image' ? mount.format : undefined, source: mount.source ?? '' });
  if (mount.type === 'host-bind' || mount.type === 'host-image') {
    writer.putOwn(group, { readonly: unless(false, mount.readOnly) });
  }
  for (const [index, { target, source }] of mount.includes.entries()) {
    writer.put(`${group}.include.${index}`, { dst: pathBelow(mount.target, target), src: source });
  }
}

function putGraphics(writer: Writer, { graphics, clipboard }: SandboxConfig): void {
  if (graphics === undefined) return;
  const { viewers, width, height, compositor, resize, listen } = graphics;
  const size = `${width}x${height}`;
  const more = { listen: listen && listenText(listen), clipboard: unless('none', clipboard) };
  writer.putOwn('graphics', { viewers, size, compositor, resize, ...more });
}

/** libvirt-sandbox writes the addresses and routes before their interface. */
function putNetwork(writer: Writer, group: string, network: Network): void {
  for (const [index, { primary, broadcast, prefix }] of network.addresses.entries()) {
    writer.put(`${group}.address.${index}`, { primary, broadcast, prefix });
  }
  for (const [index, { prefix, gateway, target }] of network.routes.entries()) {
    writer.put(`${group}.route.${index}`, { prefix, gateway, target });
  }
  writer.put(group, {
    dhcp: network.dhcp,
    source: network.source,
    mac: network.mac,
    addresses: network.addresses.length,
    routes: network.routes.length,
  });
  writer.putOwn(group, { 'host-loopback': network.hostLoopback || undefined, filter: network.filter?.name });
  writer.putOwn(`${group}.filter`, network.filter?.parameters ?? {});
}

function putProgram(writer: Writer, { service, tty, command }: SandboxConfig): void {
  if (service?.type === 'systemd') {
    writer.put('service', { bootTarget: service.bootTarget });
    for (const [index, unit] of service.units.entries()) writer.putOwn('service', { [`unit.${index}`]: unit });
    return;
  }
  if (service === undefined) writer.put('interactive', { tty });
  for (const [index, argument] of command.entries()) writer.put('command', { [`argv.${index}`]: argument });
}

function putMachine(
  writer: Writer,
  {
    memory,
    vcpus,
    acceleration,
    requireKvm,
    nestedKvm,
    sound,
    boot,
    image,
    profile,
    rootFs,
    rootCache,
    bootTimeout,
  }: SandboxConfig,
): void {
  writer.putOwn('machine', {
    memory: unless(DEFAULT_MEMORY, memory),
    vcpus: unless(1, vcpus),
    acceleration: unless('auto', acceleration),
    requirekvm: requireKvm || undefined,
    nestedkvm: nestedKvm || undefined,
    sound: sound || undefined,
    boot: unless('auto', boot),
    image,
    profile,
    rootfs: unless('auto', rootFs),
    rootcache: unless('auto', rootCache),
    boottimeout: unless(DEFAULT_BOOT_TIMEOUT, bootTimeout),
  });
}
