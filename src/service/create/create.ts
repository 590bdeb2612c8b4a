/** Makes services. */
import { lstatSync } from 'node:fs';
import { checkHost } from '../../config/host-check.js';
import type { SandboxConfig } from '../../config/types.js';
import { kindOf } from '../../libvirt/connect.js';
import { makeOverlayImage, overlayWorkplace } from '../../sandbox/devices/overlay-image.js';
import { containedConfig } from '../../sandbox/prepare/contained.js';
import { checkOverlay } from '../../sandbox/prepare/overlay-check.js';
import { refuseUnsupported } from '../../sandbox/prepare/supported.js';
import { checkTuningHere } from '../../sandbox/prepare/tuning-check.js';
import {
  checkOf,
  type Filled,
  type FillOptions,
  fillDirectory,
  fillDisk,
  makeLayers,
  planCopies,
} from '../content/fill.js';
import { recordHost } from '../content/host-now.js';
import { abortedError, orAborted } from '../errors.js';
import { saveService } from '../file.js';
import { fileContext } from '../label.js';
import type { ServiceRoots } from '../paths.js';
import { fillBound } from '../store/bound-make.js';
import { labelTree } from '../store/label-state.js';
import { type LockOptions, withServiceLock } from '../store/lock.js';
import { makeService, type Staged } from '../store/staging.js';
import { makeStateParent, stateExists } from '../store/state.js';
import { withoutUnitLimits } from '../systemd/limits.js';
import type { Service } from '../types.js';
import type { Wanted } from './describe.js';

export interface CreateOptions extends LockOptions, FillOptions {
  /** The systemd of the host starts it, in a control group that has its limits. */
  readonly hasUnit?: boolean;
}

/** A service that was made. */
export interface CreatedService extends Service {
  /** Paths of files that were written to while they were copied. */
  readonly unsettled: readonly string[];
}

/**
 * Makes a service: its file, and where its state is kept. It is not started. If anything fails, nothing is left.
 * @throws {SandboxError} `service-exists`, `service-state-exists`, `service-not-writable`, `not-supported`, and what
 *   `checkTuningHere`, `checkHost`, `checkOverlay`, `planCopies`, `fillBound`, `fillDirectory` and `makeOverlayImage` throw
 */
export async function createService(
  roots: ServiceRoots,
  name: string,
  wanted: Wanted,
  options: CreateOptions = {},
): Promise<CreatedService> {
  const { config } = wanted;
  refuseUnsupported(config);
  const { connect } = wanted.settings;
  // Another default may be that of the start.
  if (connect !== undefined) {
    const kind = kindOf(connect);
    checkTuningHere(kind === 'embedded' && options.hasUnit ? withoutUnitLimits(config) : config, kind);
  }
  await checkHost(config);
  return withServiceLock(
    roots,
    name,
    'exclusive',
    async () => {
      let filled: Filled = { copied: [], unsettled: [] };
      let { settings } = wanted;
      const paths = await makeService(roots, name, async (staged) => {
        filled = await makeState(roots, wanted, staged, options).catch((error: unknown) => {
          throw orAborted(error, name, options.signal);
        });
        settings = { ...settings, copied: filled.copied };
        await saveService({ paths: staged.paths, config, settings });
        if (options.signal?.aborted) throw abortedError(name);
      });
      return { name, paths, config, settings, unsettled: filled.unsettled };
    },
    options,
  );
}

/** Makes the directory, or the image, in which the state is to be, and copies into it what is asked for. */
async function makeState(
  roots: ServiceRoots,
  { config: asked, root, settings, imageBytes, content }: Wanted,
  { paths, made }: Staged,
  options: CreateOptions,
): Promise<Filled> {
  const kind = settings.connect === undefined ? 'embedded' : kindOf(settings.connect);
  const platform = kind === 'lxc' ? 'container' : 'machine';
  const config = containedConfig({ ...asked, root }, platform);
  const { overlay } = config;
  let filled: Filled = { copied: [], unsettled: [] };
  if (overlay === undefined || overlay.type === 'memory') return filled;
  makeStateParent(roots, overlay.path);
  if (lstatSync(overlay.path, { throwIfNoEntry: false }) !== undefined) throw stateExists(overlay.path);
  checkOverlay(config, kind);
  const plan = await planCopies(roots, { config, content, platform }, options);
  // What the host changes from now on is newer.
  await recordHost(roots, { paths, config, settings: { copied: plan?.wishes.map(({ path }) => path) ?? [] } });
  const fill =
    plan &&
    (async (directory: string) => {
      filled = await fillDisk(directory, { config, plan }, options);
    });
  if (overlay.type === 'image') {
    const workplace = overlayWorkplace(overlay.path);
    const make = (path: string) => makeOverlayImage(withOverlay(config, path), imageBytes, fill, workplace);
    await made.file(overlay.path, make, workplace);
    return filled;
  }
  await made.directory(overlay.path);
  return fillBound(overlay.path, imageBytes, async () => {
    const context = fileContext(config.security, settings.filetype);
    // What a start made later would have another label, or would have to find room.
    if (plan || context !== undefined || imageBytes !== undefined) makeLayers(overlay.path, config, platform);
    if (plan) filled = await fillDirectory(overlay.path, { config, plan, platform }, options);
    if (context !== undefined) await labelTree(overlay.path, context, checkOf(config, options));
    return filled;
  });
}

function withOverlay(config: SandboxConfig, path: string): SandboxConfig {
  return { ...config, overlay: { type: 'image', path } };
}
