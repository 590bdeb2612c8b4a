/** A sandbox whose image has a common init of its own: it is told what it is, and the rest happens inside. */
import { randomBytes } from 'node:crypto';
import type { GuestConfig } from '../../init/common/config.js';
import type { Configuration, ConfigurationFailure } from '../../init/common/configuration.js';
import { StepError } from '../../init/common/drive.js';
import type { SandboxConfig } from '../config/types.js';
import { SandboxError } from '../errors.js';
import type { Channel } from '../guest/channel.js';
import { OperationError, type OperationName } from '../guest/operations.js';
import { GuestClock } from './clock.js';
import type { Console } from './console.js';
import { spawnError, stepError } from './failure.js';
import { guestIncludes } from './includes.js';
import type { LaunchOptions } from './launch-options.js';

/** How old the time may be that the guest was told, in milliseconds: Node.js inside takes longer to answer than the native init. */
const OLD_MS = 40;

/**
 * Has the common init in the guest make the sandbox and start the application.
 *
 * @throws {SandboxError} as when the launcher drives it; `guest-init-cannot` for what only the launcher can do
 */
export async function startInGuest(
  channel: Channel,
  config: SandboxConfig,
  guest: GuestConfig,
  console: Console,
  options: LaunchOptions,
): Promise<void> {
  refuse(config, guest, options);
  // What is told beside all the rest is old when it has been read; of a call of its own it is known how old.
  const clock = new GuestClock(channel, OLD_MS);
  try {
    await clock.correct();
  } catch (error) {
    throw error instanceof OperationError ? stepError(new StepError('clock', error), console, guest) : error;
  }
  if (!clock.isRight) options.onWarning?.(clock.warning);
  const configuration: Configuration = {
    guest,
    entropy: randomBytes(64).toString('base64'),
  };
  try {
    await channel.call({ op: 'configure', sandbox: JSON.stringify(configuration) });
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    throw toldError(error, console, guest);
  }
}

/** The error that there would be if the launcher had made the call that failed inside. */
function toldError(error: OperationError, console: Console, guest: GuestConfig): unknown {
  let told: ConfigurationFailure;
  try {
    told = JSON.parse(error.message) as ConfigurationFailure;
  } catch {
    return error;
  }
  const { step, operation, message, network } = told;
  if (network !== undefined) return new SandboxError({ stage: 'init', ...network, message, cause: error });
  const inner = new OperationError(operation as OperationName, error.errno, message);
  return step === undefined ? spawnError(inner, guest) : stepError(new StepError(step, inner), console, guest);
}

function refuse(config: SandboxConfig, guest: GuestConfig, options: LaunchOptions): void {
  const asked = [
    ...(guestIncludes(config).length > 0 ? ['copy includes inside'] : []),
    ...(guest.trace ? ['trace the application'] : []),
    ...(options.breakpoint ? ['stop before a step'] : []),
  ];
  if (asked.length === 0) return;
  throw new SandboxError({
    stage: 'init',
    code: 'guest-init-cannot',
    message: `the common init in the guest cannot ${asked.join(' and ')}`,
    remedy: 'use an image that was baked without --common-init guest',
  });
}
