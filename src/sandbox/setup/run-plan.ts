/**
 * What is done in a guest that answers, up to the application: the plan of the common init is driven, with what it takes besides before the
 * application is started behind it.
 */
import { randomBytes } from 'node:crypto';
import { spawnApplication } from '../../../init/common/application.js';
import type { GuestConfig } from '../../../init/common/config.js';
import { findDevices } from '../../../init/common/disks.js';
import { drivePlan, StepError } from '../../../init/common/drive.js';
import { planSandbox } from '../../../init/common/plan.js';
import { SESSIONS_STEP } from '../../../init/common/shell.js';
import type { Step } from '../../../init/common/step.js';
import type { SandboxConfig } from '../../config/types.js';
import type { Channel } from '../../protocol/channel.js';
import { OperationError } from '../../protocol/operations.js';
import { inspectsGuest, mark } from '../../util/marks.js';
import type { Console } from '../start/console.js';
import type { Deadline } from '../start/deadline.js';
import { goneError } from '../start/failure.js';
import type { LaunchOptions, Stop } from '../types.js';
import { givenUpError, INCLUDES_STEP, INTERFACES_STEP, RESOLVER_STEP, SPAWN_STEP } from './breakpoint.js';
import { GuestClock } from './clock.js';
import { spawnError, stepError } from './failure.js';
import { copyInside, guestIncludes } from './includes.js';

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
export async function runPlan(answering: Answering): Promise<void> {
  const { channel, config, guest, console, options, limit } = answering;
  await attach(answering);
  const devices = await findDevices(channel, guest);
  const clock = new GuestClock(channel);
  const planNow = () => planSandbox(guest, { now: clock.now(), entropy: randomBytes(64), devices });
  const firstSteps = await stopBeforePlan(answering, planNow, clock);
  const network = guest.network === undefined ? undefined : await import('./network.js');
  const names = await network?.setUpInterfaces(channel, guest, console, options);
  const done = firstSteps + (await stopWithin(answering, () => planNow().slice(firstSteps), clock));
  // Its clock has gone on at a breakpoint.
  const plan = planNow().slice(done);
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
    await stopAt(RESOLVER_STEP, answering);
    await network?.setUpNames(channel, guest, names, console, options);
  }
  if (guestIncludes(config).length > 0) {
    await driving;
    await stopAt(INCLUDES_STEP, answering);
    await copyInside(channel, config, options, () => limit.renew());
  }
  if (guest.trace) {
    await driving;
    const { checkTraceable } = await import('./strace.js');
    await checkTraceable(channel, guest);
  }
  if (options.breakpoint?.step === SPAWN_STEP) {
    await driving;
    await stopAt(SPAWN_STEP, answering);
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
    throw spawnError(error, guest);
  }
}

/**
 * The interfaces are set up before the plan is driven, but for what lets somebody in: it begins with that.
 * @returns how many steps of the plan are done
 * @throws {SandboxError} as {@link stopAt}
 */
async function stopBeforePlan(
  answering: Answering,
  planNow: () => readonly Step[],
  clock: GuestClock,
): Promise<number> {
  if (answering.options.breakpoint?.step !== INTERFACES_STEP) return 0;
  const plan = planNow();
  const firstSteps = plan.findIndex(({ name }) => name === SESSIONS_STEP) + 1;
  await drive(answering, plan.slice(0, firstSteps), clock);
  await stopAt(INTERFACES_STEP, answering);
  return firstSteps;
}

/**
 * Drives the plan up to a breakpoint in it, and stands still there.
 * @returns how many steps of the plan are done
 * @throws {SandboxError} as {@link stopAt}
 */
async function stopWithin(answering: Answering, planNow: () => readonly Step[], clock: GuestClock): Promise<number> {
  const step = answering.options.breakpoint?.step;
  if (step === undefined) return 0;
  const plan = planNow();
  const at = plan.findIndex(({ name }) => name === step);
  if (at < 0) return 0;
  await drive(answering, plan.slice(0, at), clock);
  await stopAt(step, answering);
  return at;
}

/**
 * Stands still if that is the step to stop before.
 * @throws {SandboxError} `given-up`, or because the guest ended meanwhile
 */
async function stopAt(step: string, { console, options, limit, stop }: Answering): Promise<void> {
  const { breakpoint } = options;
  if (breakpoint?.step !== step) return;
  limit.suspend();
  const goOn = await breakpoint.onStop({ ...stop, step });
  limit.resume();
  if (stop.ended.aborted) throw goneError(console, false);
  if (!goOn) throw givenUpError(step);
}

/** What a saved machine has places for and this sandbox has, so that whatever looks for it behind this finds it. */
async function attach({ channel, guest, console }: Answering): Promise<void> {
  if (!guest.lateDevices && !guest.slots?.length) return;
  const { attachSlots } = await import('../../../init/common/slots.js');
  try {
    await attachSlots(channel, guest);
  } catch (error) {
    throw error instanceof OperationError ? stepError(new StepError('slots', error), console, guest) : error;
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
