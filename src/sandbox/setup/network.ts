/** Drives the common init's network steps. Loaded only for a sandbox with a network. */
import type { GuestConfig, NameService } from '../../../init/common/config.js';
import { StepError } from '../../../init/common/drive.js';
import { setUpNetwork } from '../../../init/common/network.js';
import { NetworkError } from '../../../init/common/network-errors.js';
import { setUpResolver } from '../../../init/common/resolver.js';
import { type Guest, OperationError } from '../../protocol/operations.js';
import { SandboxError } from '../../util/errors.js';
import type { Console } from '../start/console.js';
import type { Observers } from '../types.js';
import { INTERFACES_STEP, RESOLVER_STEP } from './breakpoint.js';
import { stepError } from './step-errors.js';

/**
 * Sets up the interfaces, before the root is mounted: the DHCP client is in the boot image.
 * @returns the name servers for {@link setUpNames}; undefined without a network
 * @throws {SandboxError} of stage `init`
 */
export function setUpInterfaces(
  guest: Guest,
  config: GuestConfig,
  console: Console,
  observers: Observers,
): Promise<NameService | undefined> {
  const { network } = config;
  if (network === undefined) return Promise.resolve(undefined);
  return guarded(INTERFACES_STEP, console, () =>
    setUpNetwork(observed(guest, INTERFACES_STEP, observers), config, network),
  );
}

/**
 * Sets the name servers, when everything is mounted.
 * @throws {SandboxError} of stage `init`
 */
export function setUpNames(
  guest: Guest,
  config: GuestConfig,
  names: NameService,
  console: Console,
  observers: Observers,
): Promise<void> {
  return guarded(RESOLVER_STEP, console, async () => {
    const lack = await setUpResolver(observed(guest, RESOLVER_STEP, observers), config, names);
    if (lack !== undefined) observers.onWarning?.(lack);
  });
}

async function guarded<T>(step: string, console: Console, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof OperationError) throw stepError(new StepError(step, error), console);
    if (!(error instanceof NetworkError)) throw error;
    const { code, message, remedy } = error;
    throw new SandboxError({ stage: 'init', code, message, remedy, cause: error });
  }
}

/** The same guest, with every operation reported to the observer. */
function observed(guest: Guest, step: string, { onOperation }: Observers): Guest {
  if (onOperation === undefined) return guest;
  return {
    async call(operation, options = {}) {
      const tolerated = options.tolerate ?? false;
      try {
        const result = await guest.call(operation, options);
        onOperation({ step, operation, microseconds: result.microseconds, error: undefined, tolerated });
        return result;
      } catch (error) {
        if (error instanceof OperationError) onOperation({ step, operation, microseconds: 0, error, tolerated });
        throw error;
      }
    },
  };
}
