/** The XML of a domain without a start, checked by libvirt's own schema. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ConfigOptions, configFromOptions } from '../../src/config/options.js';
import { securityLabels } from '../../src/domain/security.js';
import type { Snapshot } from '../../src/image/snapshot/record.js';
import { loadProfile } from '../../src/profile/load.js';
import { type DeviceFacts, devicesOf } from '../../src/sandbox/devices/devices.js';
import { domainXml } from '../../src/sandbox/devices/machine-options.js';
import type { RootTransport } from '../../src/sandbox/devices/root-transport.js';
import { slotDevices } from '../../src/sandbox/devices/slots.js';
import type { PreparedContainer, PreparedMachine } from '../../src/sandbox/prepare/prepared.js';
import type { LaunchOptions } from '../../src/sandbox/types.js';

const SCHEMA = '/usr/share/libvirt/schemas/domain.rng';
export const unlessSchema = existsSync(SCHEMA) ? false : `${SCHEMA} is not installed`;

export const NAME = 'schema';
export const EXT4 = { isBlock: false, filesystem: 'ext4' } as const;

/** What a start would find out beside the devices. */
type Found<T> = Partial<Omit<T, 'devices' | 'snapshot'> & Omit<DeviceFacts, 'name'>>;

/** The XML of a machine with these options. `found` overrides the invented facts that a start would find. */
export async function machineOf(
  options: ConfigOptions,
  {
    images,
    server,
    root = '9p',
    model,
    snapshot,
    ...found
  }: Found<PreparedMachine> & {
    readonly snapshot?: Snapshot;
    readonly root?: RootTransport;
  } = {},
  launch: LaunchOptions = {},
): Promise<string> {
  const config = await configFromOptions({ command: ['/bin/true'], ...options });
  const devices = devicesOf(config, {
    name: NAME,
    images: images ?? new Map([[0, EXT4]]),
    server: server ?? { kind: 'system', readOnlyVirtiofs: false },
    root,
    model,
    breakpoint: launch.breakpoint,
  });
  const prepared = {
    platform: 'machine',
    name: NAME,
    acceleration: 'tcg',
    image: { kernel: '/k/vmlinux', initrd: '/k/initrd' },
    profile: await loadProfile(options.profile),
    securityLabels: [],
    devices,
    snapshot: snapshot && { ...snapshot, slotted: slotDevices(snapshot, devices) },
    ...found,
  } as const;
  return domainXml(config, prepared, launch);
}

/** The XML of a container with these options. */
export async function containerOf(
  options: ConfigOptions,
  { images, server, ...found }: Found<PreparedContainer> = {},
  launch: LaunchOptions = {},
): Promise<string> {
  const config = await configFromOptions({ command: ['/bin/true'], ...options });
  const devices = devicesOf(config, {
    name: NAME,
    images: images ?? new Map(),
    server: server ?? { kind: 'lxc', readOnlyVirtiofs: false },
    root: '9p',
    breakpoint: launch.breakpoint,
  });
  const prepared = { platform: 'container', name: NAME, securityLabels: [], devices, ...found } as const;
  return domainXml(config, prepared, launch);
}

export const callerLabel = () => 'unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023';
export const PROFILE = 'libvirt-11111111-2222-3333-4444-555555555555';

/** The labels that a host with this model makes of an option. */
export function labels(model: 'selinux' | 'apparmor', mode: 'dynamic' | 'static' | 'inherit', label?: string) {
  const base = { model, uuid: undefined };
  const caller = model === 'selinux' ? callerLabel : () => 'unconfined';
  return securityLabels({ ...base, security: { mode, label }, callerLabel: caller });
}

/** Asserts that the document is valid and that each XPath expression has its value. */
export function assertDomain(directory: string, xml: string, facts: readonly (readonly [string, string])[]): void {
  const file = join(directory, 'domain.xml');
  writeFileSync(file, xml);
  try {
    execFileSync('xmllint', ['--noout', '--relaxng', SCHEMA, file], { stdio: 'pipe', encoding: 'utf8' });
  } catch (error) {
    assert.fail(`${(error as { stderr: string }).stderr}\n${xml}`);
  }
  for (const [path, value] of facts) {
    const found = execFileSync('xmllint', ['--xpath', path, file], { encoding: 'utf8' }).trim();
    assert.equal(found, value, `${path}\n${xml}`);
  }
}
