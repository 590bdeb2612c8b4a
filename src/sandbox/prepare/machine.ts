/** Chooses what only a virtual machine has: boot image, acceleration and snapshot. */

import { dirname } from 'node:path';
import type { SandboxConfig } from '../../config/types.js';
import { chooseAcceleration, fallbackSentence } from '../../domain/acceleration.js';
import { isVirtiofs } from '../../domain/shares.js';
import { type BootImage, defaultStoreDirectory } from '../../image/resolve.js';
import type { Connection } from '../../libvirt/connection.js';
import type { Profile } from '../../profile/types.js';
import { mark } from '../../util/marks.js';
import { option } from '../../util/option-names.js';
import { unlessAborted } from '../../util/promises.js';
import type { Devices } from '../devices/devices.js';
import { isRoot } from '../devices/shares.js';
import { neededSlots } from '../devices/slots.js';
import { guestConfig } from '../setup/guest-config.js';
import { findSnapshots, type SnapshotOffer, selectSnapshot } from '../snapshot/find.js';
import { rootKey } from '../snapshot/prepared.js';
import { abortError } from '../start/boot-errors.js';
import type { LaunchOptions } from '../types.js';
import { BootImages } from './boot-images.js';
import { moduleSets } from './module-sets.js';
import type { PreparedMachine } from './prepared.js';

export type MachineChoices = Pick<PreparedMachine, 'image' | 'acceleration' | 'fallback' | 'snapshot'>;

/**
 * @param debugShell the image needs a shell for a breakpoint before the root is mounted
 * @throws {SandboxError} those of finding or building an image; `kvm-unusable`, `warm-image-missing`, `aborted`
 */
export async function chooseMachine(
  config: SandboxConfig,
  { connection, profile, devices }: { connection: Connection; profile: Profile; devices: Devices },
  options: LaunchOptions,
  debugShell: boolean,
): Promise<MachineChoices> {
  const sets = [...new Set([...moduleSets(devices), ...(profile.moduleSets ?? [])])];
  const served = devices.shares.filter(isVirtiofs);
  const needs = {
    slots: neededSlots(devices),
    sets,
    virtiofsRoot: served.some(isRoot),
    late: served.filter((share) => !isRoot(share)).length,
    screen: devices.screen,
    named: options.image ?? config.image,
    preparedRoot: rootKey(config, guestConfig(config, { name: '', devices })),
  };
  const images = new BootImages(config, profile, options, debugShell);
  const request = { config, devices, profile, needs, images, options, kind: connection.kind };
  const find = (wanted: readonly string[]) => unlessAborted(images.find(wanted), options.signal, abortError);

  const offer = config.boot === 'cold' ? undefined : await findSnapshots(request);
  const image = await firstImage(offer, sets, find);
  mark('image.done', { fresh: image.fresh, kernel: image.kernelVersion, image: image.id, timings: image.timings });
  options.onChoice?.(`kernel: ${image.reason}`);

  const { acceleration, fallback } = await accelerationFor(config, image, options);
  mark('acceleration.done', { acceleration });
  if (acceleration === 'tcg') options.onChoice?.(noBoundary());

  const snapshot = offer && (await selectSnapshot(offer, request, image, acceleration, connection));
  if (snapshot) {
    mark('warm.chosen', { directory: snapshot.directory });
    return { image: snapshot.image, acceleration, fallback, snapshot };
  }
  // A machine that boots gets an image with no more modules than it needs.
  return {
    image: offer === undefined || offer.sets.length === 0 ? image : await find(sets),
    acceleration,
    fallback,
    snapshot: undefined,
  };
}

const noBoundary = () =>
  `security: the machine is emulated, which QEMU does not call a security boundary; ${option('requireKvm')} refuses that`;

/** The image of an offered snapshot, or the one that the sandbox would boot. */
export async function firstImage(
  offer: SnapshotOffer | undefined,
  sets: readonly string[],
  find: (sets: readonly string[]) => Promise<BootImage>,
): Promise<BootImage> {
  if (offer?.image) return offer.image;
  for (const wanted of offer?.sets ?? []) {
    try {
      return await find(wanted);
    } catch {
      // The snapshot may have module sets that this sandbox does not need and that cannot be had any more. Then it is
      // stale, and the next may be valid.
    }
  }
  return find(sets);
}

async function accelerationFor(
  config: SandboxConfig,
  image: BootImage,
  { signal, onProgress }: LaunchOptions,
): Promise<Pick<MachineChoices, 'acceleration' | 'fallback'>> {
  let fallback: string | undefined;
  const probing = chooseAcceleration({
    wanted: config.requireKvm ? 'kvm' : config.acceleration,
    required: config.requireKvm,
    kernel: image.kernel,
    kernelDigest: image.manifest.kernel.source.sha256,
    cacheDirectory: dirname(defaultStoreDirectory()),
    bootTimeout: config.bootTimeout,
    signal,
    ...(onProgress ? { onProgress } : {}),
    onFallback: (reason) => {
      fallback = fallbackSentence(reason);
    },
  });
  return { acceleration: await unlessAborted(probing, signal, abortError), fallback };
}
