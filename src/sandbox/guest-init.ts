/** A sandbox whose image has a common init of its own: it is told what it is, and the rest happens inside. */
import { randomBytes } from 'node:crypto';
import type { GuestConfig } from '../../init/common/config.js';
import type { Configuration, ConfigurationFailure } from '../../init/common/configuration.js';
import { StepError } from '../../init/common/drive.js';
import type { SandboxConfig } from '../config/types.js';
import { SandboxError } from '../errors.js';
import type { Channel } from '../guest/channel.js';
import { OperationError, type OperationName } from '../guest/operations.js';
import type { Console } from './console.js';
import { spawnError, stepError } from './failure.js';
import { guestIncludes } from './includes.js';
import type { LaunchOptions } from './launch-options.js';

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
  const now = BigInt(Date.now());
  const configuration: Configuration = {
    guest,
    now: { seconds: String(now / 1000n), nanoseconds: Number(now % 1000n) * 1_000_000 },
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
  return step === undefined
    ? spawnError(inner, guest.command[0] ?? '', guest.cwd)
    : stepError(new StepError(step, inner), console, guest);
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
