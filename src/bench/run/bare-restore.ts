/**
 * The baseline of a warm start: QEMU with the machine's own command line and the same snapshot, started without
 * libvirt, whose guest does the least that a guest does.
 */
import { spawnApplication } from '../../../init/common/application.js';
import type { GuestConfig, GuestShare } from '../../../init/common/config.js';
import { drivePlan } from '../../../init/common/drive.js';
import { planSandbox } from '../../../init/common/plan.js';
import { attachSlots } from '../../../init/common/slots.js';
import type { Snapshot } from '../../image/snapshot/record.js';
import { Channel } from '../../protocol/channel.js';
import { loadMachine } from '../../sandbox/snapshot/restore.js';
import { type BareMachine, runBare } from './bare-qemu.js';

/**
 * Restores the snapshot in a bare QEMU, once.
 * @param argv QEMU's command line as libvirt would start it
 * @returns the seconds from QEMU's start until it is gone, the guest having run /bin/true
 * @throws as {@link runBare}
 */
export async function bareRestore(argv: readonly string[], snapshot: Snapshot, signal?: AbortSignal): Promise<number> {
  const { seconds } = await runBare(argv, (machine) => runGuest(machine, snapshot), { signal });
  return seconds;
}

/** Settles when the program has ended in the guest; never if QEMU does not connect. */
async function runGuest({ listener, root, sharing }: BareMachine, snapshot: Snapshot): Promise<void> {
  const [channel, monitor] = await Promise.all([
    listener.connection.then((socket) => Channel.resume(socket)),
    loadMachine(listener.connectionAt(1), snapshot, sharing),
  ]);
  const running = monitor.execute('cont');
  const now = { seconds: BigInt(Math.floor(Date.now() / 1000)), nanoseconds: 0 };
  const guest = bareGuest(root);
  // The saved machine has no such device.
  if (root.type === 'virtiofs' && snapshot.record.root === undefined) {
    await running;
    await attachSlots(channel, { lateDevices: true });
  }
  const driving = drivePlan(channel, planSandbox(guest, { now, entropy: new Uint8Array(64), devices: new Map() }));
  await Promise.all([running, driving, spawnApplication(channel, guest)]);
  const { stdout, stderr, exited } = channel.application;
  stdout.resume();
  stderr.resume();
  await exited;
}

/** The same guest for every variant: mounts, disks and the command of a sandbox are not part of the baseline. */
export function bareGuest(root: GuestShare): GuestConfig {
  return {
    platform: 'machine',
    hostname: 'bare',
    root,
    mounts: [],
    disks: [],
    network: undefined,
    devices: undefined,
    identity: { uid: 0, gid: 0, groups: [], username: 'root', home: '/' },
    privileged: false,
    environment: [],
    cwd: '/',
    command: ['/bin/true'],
    terminal: undefined,
  };
}
