/** Brings a service up to date with its host. */
import { lstatSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { quote } from '../../config/errors.js';
import { rootDirectoryOf } from '../../config/root.js';
import { keptOverlay } from '../../sandbox/devices/overlay-directory.js';
import { checkOverlayImage, isImageInUse } from '../../sandbox/devices/overlay-image.js';
import { type Baseline, readBaseline, saveBaseline } from '../content/baseline.js';
import { hostNow } from '../content/host-now.js';
import { orAborted, serviceError } from '../errors.js';
import { loadService } from '../file.js';
import { fileContext } from '../label.js';
import type { ServiceRoots } from '../paths.js';
import { findHolder } from '../run/claim.js';
import { whileMounted } from '../store/bound.js';
import { withImage } from '../store/image-machine.js';
import { type LockOptions, withServiceLock } from '../store/lock.js';
import { stateInUse, whileUnused } from '../store/unused.js';
import type { KeptState, Service } from '../types.js';
import { DirectoryState } from './directory-state.js';
import { type HiddenFile, hiddenFiles } from './hidden.js';
import { type ImageChange, takeNewImage } from './image-root.js';
import { ImageState } from './image-state.js';
import { type TakenOver, takeOverFile } from './old-file.js';
import { dropCopies, upgradeFailed } from './renew.js';
import type { ChangeableState } from './state.js';

export interface Upgraded {
  /** What has become of its sandbox.cfg. */
  readonly file: TakenOver;
  /** Files that the host, or the image, has changed and the overlay hides. */
  readonly files: readonly HiddenFile[];
  /** Why nobody knows which files these are; undefined: they are known. */
  readonly unknown?: string | undefined;
  /** That of its root, if it is of one. */
  readonly image?: ImageChange | undefined;
}

export interface UpgradeOptions extends LockOptions {
  /** Nothing is changed. */
  readonly isDry?: boolean | undefined;
}

/**
 * Takes over the file of an older version, and drops copies in the overlay that the service has never changed where the
 * host has something newer. It must not run: nothing else may write to the overlay.
 * @throws {SandboxError} `service-not-found`, `service-running`, `service-state-in-use`, `service-damaged`,
 *   `service-upgrade-failed`, and what `takeOverFile`, `keptOverlay` and `takeNewImage` throw
 */
export async function upgradeService(
  roots: ServiceRoots,
  name: string,
  options: UpgradeOptions = {},
): Promise<Upgraded> {
  const { isDry = false } = options;
  return withServiceLock(
    roots,
    name,
    'exclusive',
    async () => {
      // Nobody claims it as long as this process has the lock.
      if (findHolder(name) !== undefined) throw running(name);
      const file = await takeOverFile(roots, name, isDry);
      // A file that was not moved yet describes nothing that could hide anything.
      if (isDry && file === 'moved') return { file, files: [] };
      const service = await loadService(roots, name);
      const renewed = await renew(roots, service, options).catch((error: unknown) => {
        throw orAborted(error, name, options.signal);
      });
      return { file, ...renewed };
    },
    options,
  );
}

async function renew(
  roots: ServiceRoots,
  service: Service,
  { isDry = false, signal }: UpgradeOptions,
): Promise<Omit<Upgraded, 'file'>> {
  const { config, paths, settings } = service;
  const { overlay, root: of } = config;
  if (overlay === undefined || overlay.type === 'memory') return { files: [] };
  if (of.type === 'image') return takeNewImage({ ...service, state: overlay, root: of }, { isDry, signal });
  const now = await hostNow(roots, service);
  const before = await readBaseline(paths.directory);
  const root = realpathSync(rootDirectoryOf(config));
  const renewIn = async (state: ChangeableState, begin?: () => Promise<void>) => {
    if (before === undefined) return [];
    const files = await hiddenFiles({ state, root, before, now, copied: settings.copied });
    if (isDry) return files;
    await begin?.();
    const hidden = files.filter(({ verdict }) => verdict === 'hidden');
    await dropCopies(state, root, hidden);
    return files;
  };
  const look = () => withState(service, overlay, signal, renewIn);
  const files = before === undefined ? [] : await whileMounted(overlay, look);
  // What was changed is on the disk by now.
  if (!isDry) await record(paths.directory, now);
  return before ? { files } : { files, unknown: 'what the host had when it was made is not on record' };
}

async function record(directory: string, now: Baseline): Promise<void> {
  try {
    await saveBaseline(directory, now);
  } catch (error) {
    throw upgradeFailed(`what the host has now cannot be recorded in ${quote(directory)}`, error);
  }
}

/** Runs `work` with the state of a directory root while nothing else uses it. One that is not there hides nothing. */
async function withState(
  { name, config, paths, settings: { connect, filetype } }: Service,
  { type, path }: KeptState,
  signal: AbortSignal | undefined,
  work: (state: ChangeableState, begin?: () => Promise<void>) => Promise<HiddenFile[]>,
): Promise<HiddenFile[]> {
  if (type === 'directory') {
    const kept = keptOverlay(path);
    const context = fileContext(config.security, filetype);
    return kept === undefined ? [] : whileUnused(name, kept, signal, () => work(new DirectoryState(kept, context)));
  }
  checkOverlayImage(config);
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return [];
  if (isImageInUse(path)) throw stateInUse(name, path);
  return withImage(config, path, { connect, signal }, async (session) => {
    const state = await ImageState.of(session, join(paths.directory, 'upgrade'));
    let isChanged = false;
    const files = await work(state, async () => {
      isChanged = true;
      await state.begin();
    });
    if (isChanged) await state.end();
    return files;
  });
}

function running(name: string) {
  return serviceError(
    'service-running',
    `the service ${quote(name)} runs, and what it has written cannot be looked at meanwhile`,
    `stop it first: virt-sandbox-service stop ${name}`,
  );
}
