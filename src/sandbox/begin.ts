/**
 * What is done in a guest that answers, up to the application: the plan of the common init is driven, with what it takes besides before the
 * application is started behind it.
 */
import { randomBytes } from 'node:crypto';
import { spawnApplication } from '../../init/common/application.js';
import type { GuestConfig } from '../../init/common/config.js';
import { type Devices, findDevices } from '../../init/common/disks.js';
import { drivePlan, StepError } from '../../init/common/drive.js';
import { planSandbox } from '../../init/common/plan.js';
import type { Step } from '../../init/common/step.js';
import type { SandboxConfig } from '../config/types.js';
import type { Channel } from '../guest/channel.js';
import { OperationError } from '../guest/operations.js';
import { inspectsGuest, mark } from '../marks.js';
import { givenUpError } from './breakpoint.js';
import { GuestClock } from './clock.js';
import type { Console } from './console.js';
import type { Deadline } from './deadline.js';
import { goneError, spawnError, stepError } from './failure.js';
import { copyInside, guestIncludes } from './includes.js';
import type { LaunchOptions, Stop } from './launch-options.js';

/** A guest that answers, and what it is to become. */
export interface Answering {
  readonly channel: Channel;
  readonly config: SandboxConfig;
  readonly guest: GuestConfig;
  readonly console: Console;
  readonly options: LaunchOptions;
  /** Of the whole start; it stands still at a breakpoint. */
  readonly limit: Deadline;
  readonly stop: Omit<Stop, 'step'>;
}

/**
 * Returns when the application runs.
 * @throws {SandboxError} for the step that failed, or why the application could not be started
 */
export async function begin(answering: Answering): Promise<void> {
  const { channel, config, guest, console, options, limit } = answering;
  await attach(answering);
  const network = guest.network === undefined ? undefined : await import('./network-phase.js');
  const names = await network?.setUpInterfaces(channel, guest, console, options);
  const devices = await findDevices(channel, guest);
  const clock = new GuestClock(channel);
  const before = await stopBefore(answering, planNow(guest, devices, clock), clock);
  // Its clock has gone on at a breakpoint.
  const plan = planNow(guest, devices, clock).slice(before);
  mark('plan.sent');
  const driving = drive(answering, plan, clock);
  // Where it fails somebody waits for it below.
  driving.catch(() => {});
  await setClock(plan, clock, driving, options);
  mark('clock.done');
  if (inspectsGuest()) {
    await driving;
    const { inspectGuest } = await import('./inspect-guest.js');
    await inspectGuest(channel);
  }
  if (names !== undefined) {
    await driving;
    await network?.setUpNames(channel, guest, names, console, options);
  }
  if (guestIncludes(config).length > 0) {
    await driving;
    await copyInside(channel, config, options, () => limit.renew());
  }
  if (guest.trace) {
    await driving;
    const { checkTraceable } = await import('./trace.js');
    await checkTraceable(channel, guest);
  }
  mark('spawn.sent');
  // It stands behind the plan in the guest's queue; where the plan fails, it is skipped there.
  const spawning = spawnApplication(channel, guest);
  spawning.catch(() => {});
  await driving;
  mark('plan.done');
  try {
    await spawning;
    mark('spawned');
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    throw spawnError(error, guest.command[0] ?? '', guest.cwd);
  }
}

/**
 * Drives the plan up to a breakpoint, and stands still there.
 * @returns how many steps of the plan are done
 * @throws {SandboxError} `given-up`, or because the guest ended meanwhile
 */
async function stopBefore(answering: Answering, plan: readonly Step[], clock: GuestClock): Promise<number> {
  const { console, options, limit, stop } = answering;
  const { breakpoint } = options;
  if (!breakpoint) return 0;
  const at = plan.findIndex(({ name }) => name === breakpoint.step);
  const before = at < 0 ? plan.length : at;
  await drive(answering, plan.slice(0, before), clock);
  limit.suspend();
  const goOn = await breakpoint.onStop({ ...stop, step: breakpoint.step });
  limit.resume();
  if (stop.ended.aborted) throw goneError(console, false);
  if (!goOn) throw givenUpError(breakpoint.step);
  return before;
}

/** What a saved machine has places for and this sandbox has, so that whatever looks for it behind this finds it. */
async function attach({ channel, guest, console }: Answering): Promise<void> {
  if (!guest.places?.length) return;
  const { attachPlaces } = await import('../../init/common/places.js');
  try {
    await attachPlaces(channel, guest.places);
  } catch (error) {
    throw error instanceof OperationError ? stepError(new StepError('places', error), console, guest) : error;
  }
}

async function drive(
  { channel, guest, console, options }: Answering,
  steps: readonly Step[],
  clock: GuestClock,
): Promise<void> {
  try {
    await drivePlan(channel, steps, (report) => {
      mark('operation', { ...report });
      if (report.operation.op === 'setClock') clock.answered();
      options.onOperation?.(report);
    });
  } catch (error) {
    throw error instanceof StepError ? stepError(error, console, guest) : error;
  }
}

/** The application is not sent for before the clock is known to be right; the guest has the rest of the plan to do meanwhile. */
async function setClock(
  plan: readonly Step[],
  clock: GuestClock,
  driving: Promise<void>,
  { onWarning }: LaunchOptions,
): Promise<void> {
  // A container has the host's clock.
  if (!plan.some(({ calls }) => calls.some(({ operation }) => operation.op === 'setClock'))) return;
  await Promise.race([clock.set, driving]);
  if (clock.isRight) return;
  await driving;
  await clock.correct();
  if (!clock.isRight) onWarning?.(clock.warning);
}

/** The plan with the time of now. */
function planNow(guest: GuestConfig, devices: Devices, clock: GuestClock): Step[] {
  return planSandbox(guest, { now: clock.now(), entropy: randomBytes(64), devices });
}
