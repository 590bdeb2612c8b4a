/** Everything that a start needs and that can be had without starting anything: a connection, an image, a kind of acceleration. */
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { checkHost } from '../../config/host-check.js';
import type { SandboxConfig } from '../../config/types.js';
import { chooseAcceleration } from '../../domain/acceleration.js';
import { type SandboxKind, securityLabels } from '../../domain/security.js';
import { isVirtiofs } from '../../domain/shares.js';
import { type BootImage, defaultStoreDirectory, resolveImage } from '../../image/resolve.js';
import { connect } from '../../libvirt/connect.js';
import { loadProfile } from '../../profile/load.js';
import type { Profile } from '../../profile/types.js';
import { SandboxError } from '../../util/errors.js';
import { mark } from '../../util/marks.js';
import { hostProgram } from '../../util/programs.js';
import { unlessAborted } from '../../util/promises.js';
import { prepareDevices } from '../devices/devices.js';
import { neededSlots } from '../devices/slots.js';
import { stopsBeforeRoot } from '../setup/breakpoint.js';
import { findSnapshots, selectSnapshot } from '../snapshot/find.js';
import { abortError } from '../start/failure.js';
import type { LaunchOptions } from '../types.js';
import { checkDriver } from './driver-check.js';
import { imageChoices } from './image-choices.js';
import { moduleSets } from './module-sets.js';
import type { Prepared } from './prepared.js';
import { callerLabel, securityModel } from './security-model.js';

/** Finds or builds the image, and connects. */
export async function prepare(config: SandboxConfig, options: LaunchOptions): Promise<Prepared> {
  const name = config.name ?? `sandbox-${randomBytes(4).toString('hex')}`;
  const cacheDirectory = join(dirname(defaultStoreDirectory()), 'libvirt');
  mark('prepare.start');
  await checkHost(config);
  const profile = await loadProfile(options.profile ?? config.profile);
  mark('connect.start');
  // Before the image: somebody who named what cannot be reached is not to wait for a build.
  const connecting = connect({
    uri: options.connect,
    cacheDirectory,
    ...(options.onChoice ? { onChoice: options.onChoice } : {}),
  });
  const connection = await unlessAborted(connecting, options.signal, abortError).catch((error: unknown) => {
    // It may still come, and nobody would close it.
    connecting.then((late) => late.close()).catch(() => {});
    throw error;
  });
  mark('connect.done', { uri: connection.uri });
  try {
    checkDriver(config, connection.kind);
    const model = await unlessAborted(securityModel(connection, config.security), options.signal, abortError);
    const labelsFor = (kind: SandboxKind) =>
      securityLabels({ security: config.security, kind, model, callerLabel, uuid: config.uuid });
    // What is wrong with them is so for every kind, and is not to be heard after an image was built.
    labelsFor('qemu');
    mark('image.start');
    const devices = await prepareDevices(config, { name, kind: connection.kind, breakpoint: options.breakpoint });
    const withoutRoot = stopsBeforeRoot(config, { name, devices }, options);
    if (connection.kind === 'lxc') {
      if (withoutRoot) throw noShellWithoutRoot();
      tellIgnored(config, options);
      return { platform: 'container', name, connection, devices, securityLabels: labelsFor('lxc') };
    }
    const sets = [...new Set([...moduleSets(devices), ...(profile.moduleSets ?? [])])];
    const needs = { slots: neededSlots(devices), sets, late: devices.shares.filter(isVirtiofs).length };
    const warmRequest = { config, devices, profile, needs, image: options.image ?? config.image, options };
    const offer = config.boot === 'cold' ? undefined : await findSnapshots(warmRequest);
    const find = (wanted: readonly string[]) =>
      unlessAborted(findImage(config, wanted, profile, options, withoutRoot), options.signal, abortError);
    // What a saved machine has in it beside what this sandbox needs may not be had any more: then it is stale, and no reason to fail.
    const findFor = (offered: readonly string[]) => find(offered).catch(() => find(sets));
    let image = offer?.image ?? (await (offer?.sets ? findFor(offer.sets) : find(sets)));
    mark('image.done', { fresh: image.fresh, kernel: image.kernelVersion, image: image.id, timings: image.timings });
    options.onChoice?.(`kernel: ${image.reason}`);
    const probing = chooseAcceleration({
      wanted: config.acceleration,
      kernel: image.kernel,
      kernelDigest: image.manifest.kernel.source.sha256,
      cacheDirectory: dirname(cacheDirectory),
      ...options,
    });
    const acceleration = await unlessAborted(probing, options.signal, abortError);
    mark('acceleration.done', { acceleration });
    const choice = offer && (await selectSnapshot(offer, warmRequest, image, acceleration, connection));
    if (choice) {
      image = choice.image;
      mark('warm.chosen', { directory: choice.directory });
    } else if (offer?.sets) {
      // One that is to be booted has no more in it than it needs.
      image = await find(sets);
    }
    return {
      platform: 'machine',
      name,
      image,
      connection,
      acceleration,
      profile,
      devices,
      snapshot: choice,
      securityLabels: labelsFor(acceleration === 'kvm' ? 'kvm' : 'qemu'),
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** A script that names a kernel for its machines is to run with containers too; somebody who wonders is told. */
function tellIgnored(
  { kernel, acceleration, vcpus, boot }: SandboxConfig,
  { image, profile, onChoice }: LaunchOptions,
): void {
  const ignored = [
    ...(image === undefined ? [] : ['--image']),
    ...(profile === undefined ? [] : ['--profile']),
    ...(kernel.version === undefined ? [] : ['--kernver']),
    ...(kernel.path === undefined ? [] : ['--kernpath']),
    ...(kernel.modulesPath === undefined ? [] : ['--kmodpath']),
    ...(acceleration === 'auto' ? [] : ['--accel']),
    ...(vcpus === 1 ? [] : ['--vcpus']),
    ...(boot === 'auto' ? [] : ['--boot']),
  ];
  if (ignored.length === 0) return;
  onChoice?.(
    `without effect: ${ignored.join(', ')}, because a container has the kernel and the processors of the host`,
  );
}

async function findImage(
  config: SandboxConfig,
  sets: readonly string[],
  profile: Profile,
  options: LaunchOptions,
  debugShell: boolean,
): Promise<BootImage> {
  const called = options.image ?? config.image;
  if (called !== undefined) {
    if (debugShell) throw noShellIn(called);
    const { openImage } = await import('../../image/store/open.js');
    const image = await openImage(called, sets);
    refuseKernelChoice(config, called, image.kernelVersion);
    return image;
  }
  return resolveImage({
    kernel: config.kernel,
    sets,
    nativeInit: hostProgram('init'),
    ...(debugShell ? { debugShell } : {}),
    ...imageChoices(profile),
    ...(options.onProgress ? { onProgress: options.onProgress } : {}),
  });
}

function noShellIn(image: string): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'image-without-shell',
    message: `the boot image ${image} has no shell for a breakpoint before the root is mounted`,
    remedy: 'leave out --image, or stop before a later step',
  });
}

/** The shell for that time is in boot images. */
function noShellWithoutRoot(): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'container-without-shell',
    message: 'a container has no shell for a breakpoint before its root is there',
    remedy: 'stop before a later step, or use a qemu:/// connection',
  });
}

/** An image brings its kernel. A sandbox.cfg may say which that was. */
function refuseKernelChoice({ kernel }: SandboxConfig, image: string, version: string): void {
  const same = kernel.version === undefined || kernel.version === version;
  if (same && kernel.path === undefined && kernel.modulesPath === undefined) return;
  throw new SandboxError({
    stage: 'config',
    code: 'image-with-kernel',
    message: `the boot image ${image} has kernel ${version}, and another was asked for`,
    remedy: 'leave out --image, or --kernver, --kernpath and --kmodpath',
  });
}
