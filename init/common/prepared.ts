/**
 * What of a plan is done when a machine is saved with its root and the programs in it. The rest differs from sandbox to
 * sandbox: the clock, the host's name, and what is mounted beside the root.
 */
import type { GuestConfig } from './config.js';
import { planSandbox } from './plan.js';
import type { Step } from './step.js';

const DONE: readonly string[] = ['processors', 'root', 'system', 'directories', 'confine'];

/** @param plan of a sandbox that goes on from such a machine */
export function stepsLeft(plan: readonly Step[]): readonly Step[] {
  return plan.filter(({ name }) => !DONE.includes(name));
}

/** The steps that are done then, with disks by their serial numbers. Two sandboxes with the same can have one machine. */
export function stepsDone(config: GuestConfig): readonly Step[] {
  const { root, overlay } = config;
  const serials = [root, overlay].flatMap((one) => (one !== undefined && 'serial' in one ? [one.serial] : []));
  const devices = new Map(serials.map((serial) => [serial, serial]));
  const plan = planSandbox(config, { now: undefined, entropy: new Uint8Array(), devices });
  return plan.filter(({ name }) => DONE.includes(name));
}
