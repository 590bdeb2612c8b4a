/** Takes a service to the image that the name of its root means now: what it has written then lies over that image. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { keptFor } from '../../../init/common/overlay.js';
import { quote } from '../../config/errors.js';
import { rootText } from '../../config/root.js';
import type { ImageRoot, StoredImage } from '../../config/types.js';
import { keepManifest } from '../../oci/pull/keep-manifest.js';
import { useRoot } from '../../oci/store/roots.js';
import { StorePaths } from '../../oci/store/store-paths.js';
import type { Digest } from '../../oci-names/digest.js';
import { keptOverlay } from '../../sandbox/devices/overlay-directory.js';
import { checkOverlayImage, isImageInUse } from '../../sandbox/devices/overlay-image.js';
import { IMAGE, moveRecord } from '../../sandbox/devices/overlay-record.js';
import { withImageRoot } from '../../sandbox/image-root/with-image-root.js';
import { KEPT } from '../../sandbox/overlay/changes-inside.js';
import { ignoreSandboxError, SandboxError } from '../../util/errors.js';
import { withServiceImage } from '../create/image.js';
import { serviceError } from '../errors.js';
import { saveService } from '../file.js';
import { fileContext } from '../label.js';
import { whileMounted } from '../store/bound.js';
import { withImage } from '../store/image-machine.js';
import { stateInUse, whileUnused } from '../store/unused.js';
import type { KeptState, Service } from '../types.js';
import { DirectoryState } from './directory-state.js';
import type { HiddenFile } from './hidden.js';
import { hiddenOfImage } from './hidden-of-image.js';
import { ImageState } from './image-state.js';
import { dropCopies, upgradeFailed } from './renew.js';
import type { ChangeableState } from './state.js';

/** Which image a service is of. */
export interface ImageChange {
  /** The name of its root. */
  readonly root: string;
  /** Undefined: nobody knows, as of a service of an older version. */
  readonly before: Digest | undefined;
  readonly now: Digest;
}

interface Options {
  readonly isDry: boolean;
  readonly signal: AbortSignal | undefined;
}

type OfImage = Service & { readonly root: ImageRoot; readonly state: KeptState };

/** What is hidden of the other image; undefined: nobody knows. */
type Hidden = readonly HiddenFile[] | undefined;

/**
 * The other image is pulled, as the root says, and has to have what the service runs. It is on record when the state
 * belongs to it: one that was killed is finished by the next call.
 * @throws {SandboxError} `service-upgrade-failed`, and what `whileUnused`, `withServiceImage`, `keptOverlay`,
 *   `withImage` and `saveService` throw
 */
export async function takeNewImage(service: OfImage, options: Options) {
  const { name, config, root, state, paths, settings } = service;
  const { isDry, signal } = options;
  return withServiceImage(name, config, { ...root, manifest: undefined }, { signal }, async (fresh) => {
    const { stored } = fresh.root;
    if (stored === undefined) throw new Error('the image is in the store');
    const files = await (state.type === 'directory' ? inDirectory : inImage)(
      service,
      { ...fresh.root, stored },
      options,
    );
    const now = fresh.tag.manifest;
    if (!isDry) {
      await keepManifest(root.image, fresh.tag, { signal });
      await saveService({ paths, settings, config: { ...config, root: { ...fresh.root, stored: undefined } } });
    }
    const unknown = files === undefined ? 'the image that it was of is not there any more' : undefined;
    return { files: files ?? [], unknown, image: { root: rootText(root), before: root.manifest, now } };
  });
}

/** Errors of an image that is not in the store, and cannot be had. */
const GONE = ['image-replaced', 'image-not-pulled'];

interface Stored extends ImageRoot {
  readonly stored: StoredImage;
}

async function inDirectory(service: OfImage, fresh: Stored, { isDry, signal }: Options): Promise<Hidden> {
  const { name, state, config, settings } = service;
  return whileMounted(state, async () => {
    const kept = keptOverlay(state.path);
    const root = `${IMAGE}${fresh.stored.id}`;
    if (kept === undefined || kept.root === root) return [];
    return whileUnused(name, kept, signal, async () => {
      const layers = new DirectoryState(kept, fileContext(config.security, settings.filetype));
      const files = await withOldRoot(service, kept.root, signal, (path) => look(layers, path, fresh, signal));
      if (isDry) return files;
      await drop(layers, files);
      await moveRecord(kept.directory, { root, kind: kept.kind }).catch((error: unknown) => {
        throw upgradeFailed(`which image ${quote(kept.directory)} belongs to cannot be recorded`, error);
      });
      return files;
    });
  });
}

async function inImage(service: OfImage, fresh: Stored, { isDry, signal }: Options): Promise<Hidden> {
  const { name, config, root, state, paths, settings } = service;
  checkOverlayImage(config);
  if (root.manifest === fresh.manifest || lstatSync(state.path, { throwIfNoEntry: false }) === undefined) return [];
  if (isImageInUse(state.path)) throw stateInUse(name, state.path);
  const options = { connect: settings.connect, signal };
  // A machine takes the layers of the image that it is of.
  const old = await withImageRoot(config, { signal }, 'none').catch((error: unknown) => {
    throw oldImageGone(service, error);
  });
  try {
    const was = old.config.root.type === 'image' ? old.config.root.stored : undefined;
    if (was === undefined || was.id === fresh.stored.id) return [];
    return await withImage(config, state.path, options, async (session) => {
      const layers = await ImageState.of(session, join(paths.directory, 'upgrade'));
      const files = await look(layers, was.path, fresh, signal);
      if (isDry) return files;
      await layers.begin();
      await drop(layers, files);
      const [from, to] = [was.id, fresh.stored.id].map((id) => `${KEPT}/../${keptFor(id)}`) as [string, string];
      // What is left of one that is killed behind the new name would stay.
      await layers.end();
      await session.file('the layers', async (calls) => {
        await calls.rename(from, to);
        await calls.sync();
      });
      return files;
    });
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code !== 'overlay-of-other-root') throw error;
    // One that was killed has come to that.
    await withImage({ ...config, root: { ...fresh, stored: undefined } }, state.path, options, async () => {});
    return [];
  } finally {
    old.release();
  }
}

/** A machine finds the layers in a disk image by the image that they lie over. */
function oldImageGone({ name, root, state }: OfImage, error: unknown): unknown {
  const isGone = error instanceof SandboxError && GONE.includes(error.code);
  if (!isGone) return error;
  const image = root.manifest ?? 'it was made of';
  return serviceError(
    'service-image-gone',
    `the state of the service ${quote(name)} in ${quote(state.path)} lies over the image ${image}, without which it ` +
      `cannot be taken to another one: ${error.message}`,
    'put back what the image was read from; to take the service to another one, give that a name of its own, and write it ' +
      `into root: virt-sandbox-service edit ${name}`,
    error,
  );
}

/** @param recorded what the state belongs to */
async function withOldRoot(
  { config, root }: OfImage,
  recorded: string,
  signal: AbortSignal | undefined,
  use: (path: string) => Promise<readonly HiddenFile[]>,
): Promise<Hidden> {
  const id = recorded.startsWith(IMAGE) ? recorded.slice(IMAGE.length) : undefined;
  const leased = id === undefined ? undefined : await useRoot(new StorePaths(), id, signal);
  try {
    if (leased !== undefined) return await use(leased.root.path);
  } finally {
    leased?.release();
  }
  if (root.manifest === undefined) return undefined;
  const pulled = await ignoreSandboxError(withImageRoot(config, { signal }, 'none'));
  try {
    const stored = pulled?.config.root.type === 'image' ? pulled.config.root.stored : undefined;
    return stored === undefined || stored.id !== id ? undefined : await use(stored.path);
  } finally {
    pulled?.release();
  }
}

async function look(state: ChangeableState, before: string, { stored }: Stored, signal: AbortSignal | undefined) {
  return hiddenOfImage({ state, before, now: stored.path }, signal);
}

async function drop(state: ChangeableState, files: Hidden): Promise<void> {
  const hidden = files?.filter(({ verdict }) => verdict === 'hidden') ?? [];
  // Nothing is copied in their place: the image has it.
  await dropCopies(state, '/', hidden);
}
