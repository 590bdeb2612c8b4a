/** Refuses what the driver cannot do, before anything is started and in the words of the options. */

import { existsSync } from 'node:fs';
import type { SandboxConfig } from '../../config/types.js';
import { screenOf } from '../../domain/screen.js';
import { type ConnectionKind, URI } from '../../libvirt/connection.js';
import { SandboxError } from '../../util/errors.js';
import { forCaller, option, shortOption } from '../../util/option-names.js';
import { othersWhoMayReplace } from '../../util/ownership.js';
import { findInPath } from '../../util/programs.js';
import { mountsFile } from '../devices/erofs-file.js';
import { checkOverlay } from './overlay-check.js';
import { checkTuningHere } from './tuning-check.js';

/**
 * @throws {SandboxError} `kvm-required`, `graphics-needs-machine`, `sound-needs-machine`, `loop-missing`, `store-not-safe`, `mac-duplicate`,
 *   `host-loopback-needs-user-network`, `passt-missing`, `network-needs-system`, `filter-needs-network`,
 *   `net-limit-needs-network`, and what {@link checkTuningHere} throws
 */
export function checkDriver(config: SandboxConfig, kind: ConnectionKind): void {
  if (config.requireKvm && kind === 'lxc') {
    throw refusal(
      'kvm-required',
      `KVM is required, and ${URI.lxc} starts a container, whose kernel is the host's`,
      `use a qemu:/// connection, or leave out ${option('requireKvm')}`,
    );
  }
  if (screenOf(config.graphics) !== undefined && kind === 'lxc')
    throw refusal(
      'graphics-needs-machine',
      `${option('graphics')} gives a machine a card, and ${URI.lxc} starts a container, which has none`,
      `use ${forCaller({ commandLine: '--graphics=xvnc', program: "graphics: 'xvnc'" })}, which needs no card, or a qemu:/// connection`,
    );
  if (config.sound && kind === 'lxc')
    throw refusal(
      'sound-needs-machine',
      `${option('sound')} gives a machine a sound card, and ${URI.lxc} starts a container, which has none`,
      `use a qemu:/// connection, or leave out ${option('sound')}`,
    );
  if (kind === 'lxc') checkImage(config);
  checkOverlay(config, kind);
  checkNetworks(config, kind);
  checkTuningHere(config, kind);
}

/** The host's own kernel mounts the file system of a container's image. */
function checkImage({ root }: SandboxConfig): void {
  if (root.type !== 'image') return;
  const machine = `run a machine: ${shortOption('connect', 'qemu:///embed')}`;
  // Without it libvirt's error names a file that the user never mentioned.
  if (root.stored !== undefined && !mountsFile(root.stored.path) && !existsSync('/dev/loop-control'))
    throw refusal(
      'loop-missing',
      'the root of an image is mounted from a loop device, and this host has no /dev/loop-control',
      `load its module (modprobe loop), or ${machine}`,
    );
  // Kernels do not promise to bear what somebody else has written there, or writes while it is mounted.
  const other = root.stored && othersWhoMayReplace(root.stored.path);
  if (other !== undefined)
    throw refusal(
      'store-not-safe',
      `the host's kernel mounts the file system of the image from a file that is not only root's: ${other}`,
      `remove the image (virt-sandbox-image rm) and pull it again as root, or ${machine}`,
    );
}

function checkNetworks({ networks, tuning }: SandboxConfig, kind: ConnectionKind): void {
  refuseSameMac(networks);
  refuseHostLoopback(networks, kind);
  // A container whose network has no name uses libvirt's own.
  if (kind === 'lxc') return;
  for (const [index, { source, filter }] of networks.entries()) {
    if (source !== undefined && !mayUseNetworks(kind)) {
      const ofItsOwn = kind === 'embedded' ? ' of its own' : '';
      throw refusal(
        'network-needs-system',
        `NIC ${index} is to join the network ${JSON.stringify(source)}, and ${URI[kind]} has no networks${ofItsOwn}`,
        kind === 'embedded' && process.geteuid?.() === 0
          ? `use ${option('connect', 'qemu:///system')}, start virtnetworkd, or leave source= out for user networking`
          : `use ${option('connect', 'qemu:///system')} as root, or leave source= out for user networking`,
      );
    }
    if (source === undefined && filter !== undefined) {
      throw refusal(
        'filter-needs-network',
        `NIC ${index} has the filter ${JSON.stringify(filter.name)} and user networking, which the host cannot filter`,
        'add source=NETWORK, or leave the filter out',
      );
    }
    if (source === undefined && tuning.networkLimits.some((limit) => limit.index === index)) {
      throw refusal(
        'net-limit-needs-network',
        `${option('tuning.networkLimits')} ${index} is for an interface with user networking, which the host cannot limit`,
        'add source=NETWORK to that interface, or leave the limit out',
      );
    }
  }
  refuseWithoutPasst(networks);
}

/** Only what serves user networking knows the host by an address of its own. */
function refuseHostLoopback(networks: SandboxConfig['networks'], kind: ConnectionKind): void {
  const index = networks.findIndex(
    ({ hostLoopback, source }) => hostLoopback === true && (source !== undefined || kind === 'lxc'),
  );
  if (index < 0) return;
  throw refusal(
    'host-loopback-needs-user-network',
    `NIC ${index} has host-loopback and joins a network of libvirt, which leads to no loopback`,
    'leave host-loopback out, or use user networking: a machine, and no source=',
  );
}

/** QEMU's own user networking connects the guest to the host's loopback, and cannot be told not to. */
function refuseWithoutPasst(networks: SandboxConfig['networks']): void {
  const index = networks.findIndex(({ source, hostLoopback }) => source === undefined && hostLoopback !== true);
  if (index < 0 || findInPath('passt') !== undefined) return;
  throw refusal(
    'passt-missing',
    `NIC ${index} has user networking, which passt serves, and passt is not in PATH`,
    'install it (package passt), or add host-loopback: QEMU serves it then, and the sandbox reaches every service ' +
      'of this host',
  );
}

/** The guest tells interfaces apart by their hardware addresses. */
function refuseSameMac(networks: SandboxConfig['networks']): void {
  const seen = new Map<string, number>();
  for (const [index, { mac }] of networks.entries()) {
    if (mac === undefined) continue;
    const other = seen.get(mac.toLowerCase());
    if (other !== undefined) {
      throw refusal(
        'mac-duplicate',
        `NIC ${other} and NIC ${index} have the same hardware address ${mac}`,
        'give each its own, or leave mac= out',
      );
    }
    seen.set(mac.toLowerCase(), index);
  }
}

/** The socket of virtnetworkd, libvirt's daemon for networks; https://libvirt.org/daemons.html */
const NETWORK_DAEMON = '/run/libvirt/virtnetworkd-sock';

/** The embedded driver has no networks. It asks virtnetworkd, which admits only root, and never libvirtd. */
function mayUseNetworks(kind: ConnectionKind): boolean {
  return kind === 'system' || (kind === 'embedded' && process.geteuid?.() === 0 && existsSync(NETWORK_DAEMON));
}

function refusal(code: string, message: string, remedy: string): SandboxError {
  return new SandboxError({ stage: 'config', code, message, remedy });
}
