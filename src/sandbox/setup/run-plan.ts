/**
 * Sets up a guest that answers and starts the application. In order: slots, what a container hides, interfaces, the
 * overlay of a container, the plan of the common init with the clock, name servers, includes, and the application.
 */
import { randomBytes } from 'node:crypto';
import { hasApplication, spawnApplication } from '../../../init/common/application.js';
import type { GuestConfig, NameService } from '../../../init/common/config.js';
import { findDevices } from '../../../init/common/disks.js';
import { drivePlan, StepError } from '../../../init/common/drive.js';
import { planSandbox } from '../../../init/common/plan.js';
import { stepsLeft } from '../../../init/common/prepared.js';
import { SESSIONS_STEP } from '../../../init/common/shell.js';
import type { Step } from '../../../init/common/step.js';
import { rootDirectoryOf } from '../../config/root.js';
import type { SandboxConfig } from '../../config/types.js';
import type { PreparedFacts } from '../../image/snapshot/record.js';
import type { Channel } from '../../protocol/channel.js';
import { OperationError } from '../../protocol/operations.js';
import { inspectsGuest, mark } from '../../util/marks.js';
import type { Hiding } from '../devices/hidden-paths.js';
import { goneError } from '../start/boot-errors.js';
import type { Console } from '../start/console.js';
import type { Deadline } from '../start/deadline.js';
import type { LaunchOptions, Stop } from '../types.js';
import { givenUpError, INCLUDES_STEP, INTERFACES_STEP, RESOLVER_STEP, SCREEN_STEP, SPAWN_STEP } from './breakpoint.js';
import { GuestClock } from './clock.js';
import { copyInside, guestIncludes } from './includes.js';
import { tellRestored } from './restored.js';
import { spawnError, stepError } from './step-errors.js';

/** A guest that answers, and what to set up in it. */
export interface Answering {
  readonly channel: Channel;
  readonly config: SandboxConfig;
  readonly guest: GuestConfig;
  readonly console: Console;
  readonly options: LaunchOptions;
  /** Deadline for the whole start. Paused at a breakpoint. */
  readonly deadline: Deadline;
  readonly stop: Omit<Stop, 'step'>;
  /** Is called when programs can be shown on the screen, and none is. */
  readonly onScreen?: (() => Promise<void>) | undefined;
  /** Set if the machine was saved with its root and programs. */
  readonly restored?: PreparedFacts | undefined;
  /** What a container hides, if it does. */
  readonly hiding?: Hiding | undefined;
}

/**
 * Returns when the application runs, or could.
 * @returns the config of the guest, with what was found of its screen
 * @throws {SandboxError} of stage `init`, or of stage `application` if that cannot be started
 */
export async function runPlan(answering: Answering): Promise<GuestConfig> {
  const { channel, console, options } = answering;
  let { guest } = answering;
  const { attached } = await attach(answering);
  // A failure is reported where it is awaited below. The guest skips what is behind it in its queue.
  attached.catch(() => {});
  if (answering.hiding !== undefined) {
    const { hiddenNow } = await import('./hidden-now.js');
    guest = { ...guest, hidden: await hiddenNow(channel, answering, answering.hiding) };
  }
  if (looksAtDevices(answering)) await attached;
  if (guest.systemd !== undefined && guest.platform === 'container') {
    const { ownGroup } = await import('../../../init/common/systemd.js');
    guest = { ...guest, systemd: { ...guest.systemd, group: await ownGroup(channel) } };
  }
  const devices = await findDevices(channel, guest);
  const clock = new GuestClock(channel);
  const wholeNow = () => planSandbox(guest, { now: clock.now(), entropy: randomBytes(64), devices });
  const planNow = () => (answering.restored === undefined ? wholeNow() : stepsLeft(wholeNow()));
  const firstSteps = await stopBeforePlan(answering, planNow, clock);
  const network = guest.network === undefined ? undefined : await import('./network.js');
  const names = await network?.setUpInterfaces(channel, guest, console, options);
  if (guest.rootOverlay !== undefined) {
    const { setUpOverlay } = await import('./root-overlay.js');
    guest = await setUpOverlay(
      channel,
      guest,
      answering.config.root,
      devices,
      console,
      answering.stop.stateDirectory,
      options,
    );
  } else if (
    guest.platform === 'container' &&
    guest.hidden?.length &&
    guest.mounts.some(({ type }) => type === 'bind')
  ) {
    // What is hidden below the source of a bind is found by the path that has no links.
    const { withoutLinks } = await import('./ways.js');
    guest = { ...guest, ...(await withoutLinks(channel, guest, rootDirectoryOf(answering.config))) };
  }
  const done = firstSteps + (await stopWithin(answering, () => planNow().slice(firstSteps), clock));
  // A new plan: time has passed at a breakpoint.
  const plan = planNow().slice(done);
  mark('plan.sent');
  const driving = Promise.all([attached, drive(answering, plan, clock)]).then(() => {});
  // A failure is reported where it is awaited below.
  driving.catch(() => {});
  const naming = nameHost(answering, guest);
  naming.catch(() => {});
  const telling = answering.restored && tellRestored(channel, answering.restored);
  telling?.catch(() => {});
  await setClock(plan, clock, driving, options);
  mark('clock.done');
  await tellLacks(naming, driving, options);
  await telling;
  const shown = await followPlan(answering, guest, driving, names);
  if (!hasApplication(guest)) {
    await driving;
    return shown;
  }
  mark('spawn.sent');
  // It is behind the plan in the guest's queue. If the plan fails, the guest skips it.
  const spawning = spawnApplication(channel, { ...guest, environment: shown.environment });
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
  return shown;
}

/**
 * What only some sandboxes have between the plan and the application. Whatever there is waits for the end of the plan.
 * @param made the config of the guest, with mounts that go over no links where those were looked for
 * @param names name servers; undefined: no network
 * @returns the config of the guest, with the variables by which programs find the screen
 */
async function followPlan(
  answering: Answering,
  made: GuestConfig,
  driving: Promise<void>,
  names: NameService | undefined,
): Promise<GuestConfig> {
  const { channel, config, console, options, deadline } = answering;
  let { guest } = answering;
  if (inspectsGuest() && hasHostPrograms(answering)) {
    await driving;
    const { inspectGuest } = await import('./inspect-guest.js');
    await inspectGuest(channel);
  }
  if (names !== undefined) {
    await driving;
    await stopAt(RESOLVER_STEP, answering);
    const { setUpNames } = await import('./network.js');
    await setUpNames(channel, guest, names, console, options);
  }
  if (guestIncludes(config).length > 0) {
    await driving;
    await stopAt(INCLUDES_STEP, answering);
    const { linkRules } = await import('./include-links.js');
    await copyInside(channel, config, options, () => deadline.renew(), linkRules(config, guest, made));
  }
  if (guest.trace) {
    await driving;
    const { checkTraceable } = await import('./strace.js');
    await checkTraceable(channel, guest);
  }
  if (guest.screen !== undefined) {
    await driving;
    await stopAt(SCREEN_STEP, answering);
    mark('screen.start');
    const { setUpScreen } = await import('./screen.js');
    guest = await setUpScreen(channel, guest, guest.screen, console, options);
    mark('screen.done');
    await answering.onScreen?.();
  }
  if (options.breakpoint?.step === SPAWN_STEP) {
    await driving;
    await stopAt(SPAWN_STEP, answering);
  }
  return guest;
}

/**
 * Whether a machine has the programs of this host, as a look into it needs: it runs them as the init. Those of another
 * root, or of an overlay that is kept, somebody else may have made. Nor is the log of a container's kernel a guest's.
 */
function hasHostPrograms({ guest, config: { root, mounts } }: Answering): boolean {
  const isKept = guest.overlay !== undefined && guest.overlay.type !== 'ram';
  const isHosts = root.type === 'directory' && root.path === '/' && !mounts.some(({ target }) => target === '/');
  return guest.platform === 'machine' && isHosts && !isKept;
}

/**
 * Stops before the interfaces. The step that opens the debug shell runs first; interfaces come next, then the rest of
 * the plan.
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
 * Drives the plan up to a breakpoint in it, and stops there.
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
 * Stops if the breakpoint is before `step`.
 * @throws {SandboxError} `given-up`; `guest-gone` or `guest-panic` if the guest ended meanwhile
 */
async function stopAt(step: string, { console, options, deadline, stop }: Answering): Promise<void> {
  const { breakpoint } = options;
  if (breakpoint?.step !== step) return;
  deadline.suspend();
  const goOn = await breakpoint.onStop({ ...stop, step });
  deadline.resume();
  if (stop.ended.aborted) throw goneError(console, 'starting');
  if (!goOn) throw givenUpError(step);
}

/** Tells the guest to bind the devices of a restored machine to their driver. @returns when it is told */
async function attach({ channel, guest, console }: Answering): Promise<{ readonly attached: Promise<void> }> {
  if (!guest.lateDevices && !guest.slots?.length) return { attached: Promise.resolve() };
  const { attachSlots } = await import('../../../init/common/slots.js');
  const attached = attachSlots(channel, guest).catch((error: unknown) => {
    throw error instanceof OperationError ? stepError(new StepError('slots', error), console, guest) : error;
  });
  return { attached };
}

/** Whether something comes before the plan that is about the devices. The plan itself is behind them in the queue. */
function looksAtDevices({ guest: { slots = [], devices, network }, options }: Answering): boolean {
  return (slots.length > 0 && devices === undefined) || network !== undefined || options.breakpoint !== undefined;
}

/**
 * The files that say what the host of an OCI image is called.
 * @returns sentences on those that could not be set
 */
async function nameHost({ channel, restored }: Answering, guest: GuestConfig): Promise<string[]> {
  if (!guest.ociRoot) return [];
  const { renewHostFiles, setUpHostFiles } = await import('../../../init/common/oci-root.js');
  if (restored === undefined) return setUpHostFiles(channel, guest);
  await renewHostFiles(channel, guest);
  return [];
}

/** What is behind a step that failed has been skipped, and is no lack. */
async function tellLacks(
  naming: Promise<string[]>,
  driving: Promise<void>,
  { onWarning }: LaunchOptions,
): Promise<void> {
  const lacks = await naming.catch(async (error: unknown) => {
    await driving;
    throw error;
  });
  if (lacks.length === 0) return;
  await driving;
  for (const lack of lacks) onWarning?.(lack);
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

/** Waits until the clock is right, before the application is started. The guest works on the plan meanwhile. */
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
