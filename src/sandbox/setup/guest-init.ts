/** Sets up a sandbox whose image has a common init of its own: sends it the config, and it does the rest. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import { hasApplication, spawnApplication } from '../../../init/common/application.js';
import type { GuestConfig } from '../../../init/common/config.js';
import { StepError } from '../../../init/common/drive.js';
import type { Configuration } from '../../../init/common/guest-message.js';
import { isNetworkErrorCode, NETWORK_REMEDIES, type NetworkErrorCode } from '../../../init/common/network-errors.js';
import { OperationError, type OperationName } from '../../protocol/operations.js';
import { SandboxError } from '../../util/errors.js';
import { isRecord, parseJson } from '../../util/records.js';
import type { Console } from '../start/console.js';
import type { LaunchOptions } from '../types.js';
import { GuestClock } from './clock.js';
import { copyInside, guestIncludes } from './includes.js';
import type { Answering } from './run-plan.js';
import { spawnError, stepError } from './step-errors.js';

/** The largest error of the clock, in milliseconds. Node.js in the guest answers more slowly than the native init. */
const OLD_MS = 40;

/**
 * Has the common init in the guest set up the sandbox and start the application.
 * @throws {SandboxError} those of {@link runPlan}; `guest-init-cannot` at a breakpoint, `guest-init-older`
 */
export async function startInGuest(answering: Omit<Answering, 'stop'>): Promise<void> {
  const { channel, config, guest, console, options, deadline } = answering;
  refuse(options, guest);
  // The time is a call of its own, so its round trip is known. As a part of the config it would be stale when read.
  const clock = new GuestClock(channel, OLD_MS);
  try {
    await clock.correct();
  } catch (error) {
    throw error instanceof OperationError ? stepError(new StepError('clock', error), console, guest) : error;
  }
  if (!clock.isRight) options.onWarning?.(clock.warning);
  const configuration: Configuration = {
    guest: withOldNames(guest),
    entropy: randomBytes(64).toString('base64'),
  };
  const sandbox = JSON.stringify(configuration);
  const isMoreToDo = guestIncludes(config).length > 0 || guest.trace !== undefined || !hasApplication(guest);
  try {
    await channel.call({ op: isMoreToDo ? 'arrange' : 'configure', sandbox });
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    if (isMoreToDo && error.errno === constants.errno.ENOSYS) throw olderError();
    throw remoteError(error, console, guest);
  }
  if (!isMoreToDo) return;
  const { linkRules } = await import('./include-links.js');
  await copyInside(channel, config, options, () => deadline.renew(), linkRules(config, guest, guest));
  if (guest.trace) {
    const { checkTraceable } = await import('./strace.js');
    await checkTraceable(channel, guest);
  }
  if (!hasApplication(guest)) return;
  try {
    await spawnApplication(channel, guest);
  } catch (error) {
    throw error instanceof OperationError ? spawnError(error, guest) : error;
  }
}

/** The init that 0.9.0 baked into images reads `place` and `places`. */
function withOldNames(guest: GuestConfig): GuestConfig {
  return { ...guest, ...{ place: guest.platform, places: guest.slots } };
}

/** The init does not know ARRANGE. */
function olderError(): SandboxError {
  return new SandboxError({
    stage: 'init',
    code: 'guest-init-older',
    message:
      'the common init in the guest is of an earlier version, which can neither have includes copied inside nor trace',
    remedy: 'bake the image again with: virt-sandbox-bake create --common-init guest',
  });
}

/**
 * The same error as if the launcher had made the call that failed in the guest. The guest is not trusted: it chooses
 * neither a code that the launcher acts on, nor what a user is advised to do.
 */
export function remoteError(error: OperationError, console: Console, guest: GuestConfig): unknown {
  const told = readFailure(error.message);
  if (told === undefined) return error;
  const { step, operation, message, network } = told;
  if (network !== undefined) {
    const remedy = NETWORK_REMEDIES[network];
    return new SandboxError({ stage: 'init', code: network, remedy, message, cause: error });
  }
  const inner = new OperationError(operation as OperationName, error.errno, message);
  return step === undefined ? spawnError(inner, guest) : stepError(new StepError(step, inner), console, guest);
}

/** A failure in the guest, as far as it is believed. */
interface Failure {
  readonly step: string | undefined;
  readonly operation: string;
  readonly message: string;
  readonly network: NetworkErrorCode | undefined;
}

/** Takes the fields of a ConfigurationFailure that are there and well-formed. Undefined for any other message. */
function readFailure(text: string): Failure | undefined {
  const told = parseJson(text);
  if (!isRecord(told)) return undefined;
  const { step, operation, message, network } = told;
  if (typeof operation !== 'string' || typeof message !== 'string') return undefined;
  const code = isRecord(network) ? network['code'] : undefined;
  return {
    ...{ operation, message, step: typeof step === 'string' ? step : undefined },
    network: isNetworkErrorCode(code) ? code : undefined,
  };
}

function refuse({ breakpoint }: LaunchOptions, { screen }: GuestConfig): void {
  if (breakpoint === undefined && screen === undefined) return;
  throw new SandboxError({
    stage: 'init',
    code: 'guest-init-cannot',
    message: `the common init in the guest cannot ${breakpoint ? 'stop before a step' : 'start what shows programs on a screen'}`,
    remedy: 'use an image that was baked without --common-init guest',
  });
}
