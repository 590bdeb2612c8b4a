/** From a sandbox to its virtual machine. What each kind of device looks like is said in src/domain/. */
import { join } from 'node:path';
import type { SandboxConfig } from '../../config/types.js';
import { kernelCommandLine } from '../../domain/cmdline.js';
import { diskElements } from '../../domain/disks.js';
import { machineInterfaces } from '../../domain/interfaces.js';
import { type MachineOptions, machineXml } from '../../domain/machine.js';
import { monitorArguments } from '../../domain/monitor.js';
import { processorArguments } from '../../domain/processors.js';
import { uuidForLabels } from '../../domain/security.js';
import { isVirtiofs } from '../../domain/shares.js';
import { restoredMachineArguments, sharingMachineArguments } from '../../domain/snapshot.js';
import { cputune } from '../../domain/tuning.js';
import { SNAPSHOT_MEMORY, type Snapshot } from '../../image/snapshot/snapshot.js';
import { emptyDirectoryOf, inSlots } from '../snapshot/machine.js';
import { mayRunEarly } from '../start/run-machine.js';
import { stateBase } from '../state/state.js';
import type { LaunchOptions, Prepared } from '../types.js';
import { containerDomainXml } from './container-options.js';
import { disksOf } from './disks.js';
import { interfacesOf } from './interfaces.js';
import { sharesOf } from './shares.js';
import { machineShell } from './shell-paths.js';

/**
 * The domain as libvirt is given it.
 * @param sockets the state directory by the path that its sockets are given; undefined: there is none yet
 */
export function domainXml(
  config: SandboxConfig,
  prepared: Prepared,
  options: LaunchOptions,
  sockets = join(stateBase(), prepared.name),
): string {
  if (prepared.platform === 'container') return containerDomainXml(config, prepared, options);
  const base = join(stateBase(), prepared.name);
  const shell = machineShell(config, options, prepared.connection.kind, sockets);
  const channelSocket = join(sockets, 'channel');
  const shares = sharesOf(config, prepared.server, base);
  const machine: MachineOptions = {
    name: prepared.name,
    uuid: config.uuid ?? uuidForLabels(prepared.securityLabels),
    memory: config.memory,
    vcpus: config.vcpus,
    acceleration: prepared.acceleration,
    kernel: prepared.image.kernel,
    initrd: prepared.image.initrd,
    commandLine: kernelCommandLine(prepared.profile, {
      debug: options.debugInit ?? false,
      console: shell?.log,
      writtenBehindEmulator: prepared.acceleration === 'tcg' && shares.some(isVirtiofs),
      processors: processorArguments(config.vcpus, prepared.acceleration),
    }),
    tuning: prepared.profile.machine,
    qemuArguments: [
      ...(prepared.profile.qemuArguments ?? []),
      ...(isMonitored(config, prepared) ? monitorArguments(channelSocket) : []),
    ],
    shares,
    disks: diskElements(disksOf(config, prepared.images)),
    interfaces: machineInterfaces(interfacesOf(config, prepared.name)),
    securityLabels: prepared.securityLabels,
    cputune: cputune(config.tuning, config.vcpus),
    ...(shell ? { serials: shell.serials, channels: shell.channels } : {}),
    channelSocket,
    consoleSocket: join(sockets, 'console'),
  };
  return machineXml(prepared.warm ? restored(machine, prepared.warm) : machine);
}

/** Whether the launcher has a monitor of QEMU: a saved machine is loaded with it, and any other let run. */
export function isMonitored(config: SandboxConfig, prepared: Prepared): boolean {
  return prepared.platform === 'machine' && (prepared.warm !== undefined || mayRunEarly(config));
}

/** The same machine, going on from where a saved one was. */
function restored(machine: MachineOptions, warm: Snapshot): MachineOptions {
  const lateShares = machine.shares.filter(isVirtiofs);
  const memory =
    lateShares.length > 0
      ? sharingMachineArguments(machine.memory)
      : restoredMachineArguments({ path: join(warm.directory, SNAPSHOT_MEMORY), size: machine.memory });
  return {
    ...machine,
    // They are in its memory already.
    kernel: undefined,
    initrd: undefined,
    commandLine: undefined,
    shares: inSlots(machine.shares, warm.record.slots, emptyDirectoryOf(warm)),
    lateShares,
    slots: warm.record.slots,
    qemuArguments: [...machine.qemuArguments, ...memory],
  };
}
