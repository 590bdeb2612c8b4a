/** Services in machines, for tests that kill what holds them. */
import { after, before, type TestContext } from 'node:test';
import { ACCEL } from './acceleration.js';
import { embedded, type Way } from './connections.js';
import { unlessProgram } from './images.js';
import { KilledClone, type WantedClone } from './killed-clones.js';
import { unlessTraced } from './killing.js';
import { bakeSnapshot, privateStore } from './snapshots.js';

/** A reason to skip, or false. */
export const unlessMachinesKilled = embedded.skip || unlessTraced() || unlessProgram('qemu-img', 'mke2fs');

/** Of `create`. */
export const MACHINE = [...ACCEL, '-i', '200'];

/** What holds a machine. */
export const MACHINE_HOLDERS = ['holder', 'supervisor', 'virt-qemu-run', 'qemu-system'] as const;

export interface KilledMachines {
  readonly way: Way;
  /** A service that runs in a machine, and is to be cloned. */
  cloned(t: TestContext, wanted: WantedClone): Promise<KilledClone>;
}

/** To be called in a suite, whose machines need not boot: each step starts one or two. */
export function killedMachines(): KilledMachines {
  const { env, remove } = privateStore();
  const way = { ...embedded, options: { ...embedded.options, env } };
  before(() => bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env }, ['--overlay']));
  after(remove);
  return { way, cloned: (t, wanted) => KilledClone.make(t, way, { options: MACHINE, ...wanted }) };
}
