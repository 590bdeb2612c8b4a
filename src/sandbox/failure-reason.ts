/** Why an attempt to start a sandbox failed. */
import { hasApplication } from '../../init/common/application.js';
import type { GuestConfig } from '../../init/common/config.js';
import type { SandboxConfig } from '../config/types.js';
import { hasLibvirtEnded, isQemuGone } from '../libvirt/errors.js';
import { SandboxError } from '../util/errors.js';
import { overlayImageReason } from './devices/overlay-image.js';
import { overlayReason } from './devices/overlay-server.js';
import { serverError } from './devices/root-server.js';
import { rootShareOf } from './domain-parts.js';
import type { Prepared } from './prepare/prepared.js';
import type { SnapshotChoice } from './snapshot/find.js';
import { reasonToBoot } from './snapshot/restore.js';
import { goneError } from './start/boot-errors.js';
import type { DomainRun } from './start/domain-run.js';

/** How far the attempt has come. */
export interface Reached {
  readonly run: DomainRun;
  readonly guest: GuestConfig;
  /** The snapshot that is being loaded. */
  readonly restoring: SnapshotChoice | undefined;
  /** The guest was sent an operation. */
  readonly hasBegun: boolean;
  /** The application runs. */
  readonly isRunning: boolean;
}

/** The reason behind an error that only says what came of it; any other error as it is. */
export async function failureReason(
  error: unknown,
  config: SandboxConfig,
  prepared: Prepared,
  { run, guest, restoring, hasBegun, isRunning }: Reached,
): Promise<unknown> {
  // What a guest says is no word of the server.
  const ofServer = hasBegun
    ? undefined
    : serverError(rootShareOf(prepared), prepared.devices.shares, error, config.rootFs);
  if (ofServer !== undefined) return ofServer;
  // The guest has powered off before libvirt was done, which knows only that QEMU is gone.
  const isGone = error instanceof SandboxError && (isQemuGone(error) || hasLibvirtEnded(error));
  if (isRunning && isGone && prepared.platform === 'machine')
    return goneError(run.console, hasApplication(guest) ? 'running' : 'idle');
  const reason = overlayReason(prepared.devices.shares, error, prepared.name);
  if (reason !== error) return reason;
  const found = restoring === undefined ? await run.reasonFor(error) : reasonToBoot(restoring, error);
  return overlayImageReason(found, prepared.devices.disks);
}
