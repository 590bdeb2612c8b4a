/** Lays memory over the root of a container. Loaded only for one with an overlay. */
import type { GuestConfig } from '../../../init/common/config.js';
import { StepError } from '../../../init/common/drive.js';
import { layOverRoot, OVERLAY_STEP, RootOverlayError } from '../../../init/common/root-overlay.js';
import { type Guest, OperationError } from '../../protocol/operations.js';
import { SandboxError } from '../../util/errors.js';
import { option, shortOption } from '../../util/option-names.js';
import type { Console } from '../start/console.js';
import type { Observers } from '../types.js';
import { stepError } from './step-errors.js';

/**
 * Makes the overlays, before the plan. Says which mounts stay read-only.
 * @throws {SandboxError} `overlay-failed`, or the init's `init-step-failed`
 */
export async function setUpOverlay(
  guest: Guest,
  config: GuestConfig,
  console: Console,
  { onChoice }: Pick<Observers, 'onChoice'>,
): Promise<void> {
  try {
    for (const mount of await layOverRoot(guest, config)) onChoice?.(`overlay: read-only stays ${mount}`);
  } catch (error) {
    if (error instanceof OperationError) throw stepError(new StepError(OVERLAY_STEP, error), console, config);
    if (!(error instanceof RootOverlayError)) throw error;
    throw new SandboxError({
      stage: 'init',
      code: 'overlay-failed',
      message: `an overlay cannot be laid over the root: ${error.message}`,
      remedy:
        'it takes Linux 5.19 with overlayfs, and a root on ext4, xfs or btrfs, which is no overlay itself ' +
        `(${option('root')}); or run a machine: ${shortOption('connect', 'qemu:///embed')}`,
      cause: error,
    });
  }
}
