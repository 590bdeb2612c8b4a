/**
 * Prepares a start, without starting anything: connection, devices, security labels and, for a machine, what boots it.
 */

import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { checkHost } from '../../config/host-check.js';
import type { SandboxConfig } from '../../config/types.js';
import { securityLabels as labelsFor } from '../../domain/security.js';
import { isVirtiofs } from '../../domain/shares.js';
import { defaultStoreDirectory } from '../../image/resolve.js';
import { connect } from '../../libvirt/connect.js';
import type { Connection } from '../../libvirt/connection.js';
import { loadProfile } from '../../profile/load.js';
import { SandboxError } from '../../util/errors.js';
import { mark } from '../../util/marks.js';
import { option } from '../../util/option-names.js';
import { unlessAborted } from '../../util/promises.js';
import { prepareDevices } from '../devices/devices.js';
import { withoutShareProgram } from '../devices/share-server.js';
import { stopsBeforeRoot } from '../setup/breakpoint.js';
import { abortError } from '../start/boot-errors.js';
import { closedToQemu } from '../state/daemon-directory.js';
import type { LaunchOptions } from '../types.js';
import { checkDriver } from './driver-check.js';
import { chooseMachine } from './machine.js';
import { requireOpenFiles } from './open-files.js';
import type { Prepared } from './prepared.js';
import { callerLabel, securityModel } from './security-model.js';

/**
 * Connects, decides on devices, and finds or builds the boot image. The caller closes the connection.
 * @throws {SandboxError} whatever is wrong; the connection is closed then
 */
export async function prepare(config: SandboxConfig, options: LaunchOptions): Promise<Prepared> {
  const name = config.name ?? `sandbox-${randomBytes(4).toString('hex')}`;
  mark('prepare.start');
  requireOpenFiles();
  await checkHost(config);
  const profile = await loadProfile(options.profile ?? config.profile);
  mark('connect.start');
  // Connect first: a user whose URI cannot be reached should not wait for a build.
  const connection = await connectUnlessAborted(options);
  try {
    checkDriver(config, connection.kind);
    const model = await unlessAborted(securityModel(connection, config.security), options.signal, abortError);
    mark('connect.done', { uri: connection.uri });
    const securityLabels = labelsFor({ security: config.security, model, callerLabel, uuid: config.uuid });
    mark('image.start');
    const devices = await prepareDevices(config, {
      name,
      kind: connection.kind,
      model,
      breakpoint: options.breakpoint,
    });
    if (devices.shares.some((share) => isVirtiofs(share) && share.program === undefined))
      options.onChoice?.(withoutShareProgram());
    const withoutRoot = stopsBeforeRoot(config, { name, devices }, options);
    if (connection.kind === 'lxc') {
      if (withoutRoot) throw noShellWithoutRoot();
      tellIgnored(config, options);
      return { platform: 'container', name, connection, devices, securityLabels };
    }
    const { image, acceleration, fallback, snapshot } = await chooseMachine(
      config,
      { connection, profile, devices },
      options,
      withoutRoot,
    );
    return {
      platform: 'machine',
      name,
      image,
      connection,
      acceleration,
      fallback,
      profile,
      devices,
      snapshot,
      securityLabels,
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function connectUnlessAborted({ connect: uri, onChoice, signal }: LaunchOptions): Promise<Connection> {
  const cacheDirectory = join(dirname(defaultStoreDirectory()), 'libvirt');
  const connecting = connect({ uri, cacheDirectory, againstSystem: closedToQemu, ...(onChoice ? { onChoice } : {}) });
  try {
    return await unlessAborted(connecting, signal, abortError);
  } catch (error) {
    // It may still come. Close it then.
    connecting.then((late) => late.close()).catch(() => {});
    throw error;
  }
}

/**
 * Tells the observer which options a container ignores. They are no errors: a script may name a kernel for its
 * machines.
 */
function tellIgnored(
  { image, profile, kernel, acceleration, nestedKvm, vcpus, boot }: SandboxConfig,
  options: LaunchOptions,
): void {
  const ignored = [
    ...((options.image ?? image) === undefined ? [] : [option('image')]),
    ...((options.profile ?? profile) === undefined ? [] : [option('profile')]),
    ...(kernel.version === undefined ? [] : [option('kernel.version')]),
    ...(kernel.path === undefined ? [] : [option('kernel.path')]),
    ...(kernel.modulesPath === undefined ? [] : [option('kernel.modulesPath')]),
    ...(acceleration === 'auto' ? [] : [option('acceleration')]),
    ...(nestedKvm ? [option('nestedKvm')] : []),
    ...(vcpus === 1 ? [] : [option('vcpus')]),
    ...(boot === 'auto' ? [] : [option('boot')]),
  ];
  if (ignored.length === 0) return;
  options.onChoice?.(
    `without effect: ${ignored.join(', ')}, because a container has the kernel and the processors of the host`,
  );
}

/** Only boot images have a shell without a root. */
function noShellWithoutRoot(): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'container-without-shell',
    message: 'a container has no shell for a breakpoint before its root is there',
    remedy: 'stop before a later step, or use a qemu:/// connection',
  });
}
