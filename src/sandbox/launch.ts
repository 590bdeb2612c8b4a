/**
 * Starts what was prepared, from whatever can be restored or booted. If anything fails, nothing is left.
 */

import type { SandboxConfig } from '../config/types.js';
import { shortOption } from '../util/option-names.js';
import { Attempt } from './attempt.js';
import { makeHomeDirectory } from './devices/home-directory.js';
import { makeOverlayImage } from './devices/overlay-image.js';
import { isOwnDisksError, reasonAgainst, refuseFurtherFiles } from './devices/own-disks.js';
import { reasonAgainstOwnerWall } from './devices/qemu-wall.js';
import { isForeign } from './devices/shares.js';
import { startDespiteGone } from './gone-path.js';
import type { Launched } from './launched.js';
import { containedConfig } from './prepare/contained.js';
import type { Prepared, PreparedMachine } from './prepare/prepared.js';
import { isExhausted, isRestoreError } from './snapshot/restore.js';
import { abortError } from './start/boot-errors.js';
import { hasQemuUser } from './state/qemu-user.js';
import type { LaunchOptions } from './types.js';
import { withOtherRoot } from './unserved-root.js';

const noBarrier = () =>
  "a privileged container is no barrier: root inside is root of the host's kernel; " +
  `run what you do not trust without ${shortOption('privileged')}, or in a machine (${shortOption('connect', 'qemu:///embed')})`;

/**
 * Starts the domain and, in it, the application.
 * @throws {SandboxError} if anything fails; nothing is left then, and the connection is closed
 */
export async function launch(wanted: SandboxConfig, prepared: Prepared, options: LaunchOptions): Promise<Launched> {
  const config = containedConfig(wanted, prepared.platform);
  if (prepared.platform === 'container' && config.privileged === true) options.onWarning?.(noBarrier());
  try {
    makeHomeDirectory(config);
    await makeOverlayImage(config).catch((error: unknown) => {
      // Ctrl+C at a terminal ends what makes it, too.
      throw options.signal?.aborted ? abortError(options.signal.reason) : error;
    });
    const { platform, connection, devices } = prepared;
    if (platform === 'container' || isForeign(connection.kind)) refuseFurtherFiles(devices.disks, platform);
    if (prepared.platform === 'machine' && prepared.fallback) options.onFallback?.(prepared.fallback);
    return await launchServed(config, prepared, options);
  } catch (error) {
    await prepared.connection.close();
    throw error;
  }
}

/** Where the root cannot be served as it was to be, nothing has been executed, so it is served otherwise. */
async function launchServed(config: SandboxConfig, prepared: Prepared, options: LaunchOptions): Promise<Launched> {
  if (prepared.platform === 'container') return launchWarmOrCold(config, prepared, options);
  try {
    return await launchWarmOrCold(config, prepared, options);
  } catch (error) {
    const instead = await withOtherRoot(prepared, error, options);
    if (instead === undefined) throw error;
    const { waits = false, fallback } = prepared;
    if (instead.fallback !== undefined && fallback === undefined) options.onFallback?.(instead.fallback);
    return launchWarmOrCold(config, { ...instead, waits }, options);
  }
}

/** A snapshot that fails to load has executed nothing, so try the next one, each once, then boot cold. */
async function launchWarmOrCold(config: SandboxConfig, prepared: Prepared, options: LaunchOptions): Promise<Launched> {
  if (prepared.platform === 'container')
    return startDespiteGone(() => new Attempt(config, prepared, options), config.bootTimeout, options);
  if (prepared.snapshot === undefined) return launchMachine(config, prepared, options);
  try {
    return await launchMachine(config, prepared, options);
  } catch (error) {
    if (!isRestoreError(error)) throw error;
    const next = isExhausted(error) ? undefined : await prepared.snapshot.next();
    if (next === undefined && config.boot === 'warm') throw error;
    options.onChoice?.(`boot: ${next ? `warm, from ${next.directory}` : 'cold'}, because ${error.message}`);
    const instead = next ? { image: next.image, snapshot: next } : { snapshot: undefined };
    return launchWarmOrCold(config, { ...prepared, ...instead }, options);
  }
}

/**
 * Disks of a QEMU with a user of its own, where the files and the host allow it; else those that all such sandboxes
 * share a user for. Only the attempt tells whether a file system can be mounted with other owners. Where it fails,
 * libvirt has not been asked for anything.
 */
async function launchMachine(
  config: SandboxConfig,
  prepared: PreparedMachine,
  options: LaunchOptions,
): Promise<Launched> {
  const { connection, devices } = prepared;
  const { disks } = devices;
  if (disks.length === 0 || !hasQemuUser(connection.kind)) return new Attempt(config, prepared, options).start();
  let reason = reasonAgainst(disks, prepared.securityLabels) ?? reasonAgainstOwnerWall(connection.kind);
  if (reason === undefined) {
    try {
      return await new Attempt(config, prepared, options).start();
    } catch (error) {
      if (!isOwnDisksError(error)) throw error;
      reason = error.message;
    }
  }
  options.onChoice?.(`disks: QEMU has the user of all sandboxes with such disks, because ${reason}`);
  return new Attempt(config, prepared, options, true).start();
}
