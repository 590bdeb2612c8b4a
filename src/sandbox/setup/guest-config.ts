/** Turns a sandbox into the config of the common init. */
import { randomUUID } from 'node:crypto';
import type { GuestConfig, GuestScreen, GuestSystemd } from '../../../init/common/config.js';
import type { Clipboard, Graphics, SandboxConfig } from '../../config/types.js';
import { lateProcessors } from '../../domain/processors.js';
import type { Profile } from '../../profile/types.js';
import type { Devices } from '../devices/devices.js';
import { onlyDevice } from '../devices/disks.js';
import type { SavingMachine, SlottedSnapshot } from '../devices/machine-options.js';
import type { LaunchOptions } from '../types.js';

/** What the guest's config is made of, besides the sandbox's config. */
export interface GuestParts {
  readonly name: string;
  readonly devices: Devices;
  /** Undefined for a container, as what follows. */
  readonly profile?: Pick<Profile, 'qemuArguments'> | undefined;
  readonly acceleration?: 'kvm' | 'tcg' | undefined;
  readonly snapshot?: SlottedSnapshot | undefined;
  readonly saving?: Pick<SavingMachine, 'slotted'> | undefined;
}

export function guestConfig(
  config: SandboxConfig,
  { name, devices, profile, acceleration, snapshot, saving }: GuestParts,
  { terminal, timeLimit }: Pick<LaunchOptions, 'terminal' | 'timeLimit'> = {},
): GuestConfig {
  return {
    ...devices.guest,
    devices: profile === undefined ? devices.guest.devices : onlyDevice(devices.disks, profile),
    lateProcessors: acceleration ? lateProcessors(config.vcpus, acceleration) : 0,
    hostname: hostnameOf(name),
    lateDevices: snapshot !== undefined && snapshot.slotted.lateShares.length > 0,
    slots: (snapshot ?? saving)?.slotted.taken,
    keepsSys: saving === undefined ? undefined : true,
    hasKeptSys: snapshot?.record.prepared === undefined ? undefined : true,
    identity: config.identity,
    privileged: config.privileged === true,
    ociRoot: config.root.type === 'image' || undefined,
    service: config.service !== undefined || undefined,
    madeDirectory: config.root.type === 'image' ? config.cwd : undefined,
    userNamespaces: config.userNamespaces,
    environment: config.environment,
    cwd: config.cwd,
    command: config.command,
    screen: config.graphics && guestScreen(config.graphics, config.clipboard),
    hasSound: config.sound || undefined,
    systemd: systemdOf(config),
    timeLimit,
    terminal: config.tty ? (terminal ?? { rows: 24, columns: 80, type: 'linux' }) : undefined,
  };
}

function guestScreen({ viewers, compositor, width, height }: Graphics, clipboard: Clipboard): GuestScreen {
  return {
    compositor: viewers === 'xvnc' ? viewers : compositor,
    width,
    height,
    clipboard: clipboard === 'none' ? undefined : true,
  };
}

function systemdOf({ service, uuid = randomUUID(), overlay }: SandboxConfig): GuestSystemd | undefined {
  if (service?.type !== 'systemd') return undefined;
  const { bootTarget, units } = service;
  const digits = (text: string) => text.replaceAll('-', '').toLowerCase();
  return {
    bootTarget,
    units,
    machineId: digits(uuid),
    bootId: digits(randomUUID()),
    keepsJournal: overlay !== undefined && overlay.type !== 'memory',
  };
}

/** A valid host name: letters, digits and hyphens, at most 63 characters. hostname(7) */
export function hostnameOf(name: string): string {
  const legal = name.replace(/[^A-Za-z0-9-]+/g, '-').replace(/^-+|-+$/g, '');
  return legal.slice(0, 63) || 'sandbox';
}
