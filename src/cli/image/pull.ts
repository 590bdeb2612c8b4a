/** virt-sandbox-image pull: fetches an image, and makes a file system of it. */

import { isSurelyId } from '../../oci/inspect/find-image.js';
import { storeName, wantedPlatform } from '../../oci/pull/names.js';
import { pullImage } from '../../oci/pull/pull.js';
import type { PulledImage, PullOptions } from '../../oci/pull/types.js';
import { StorePaths } from '../../oci/store/store-paths.js';
import { findTag } from '../../oci/store/tags.js';
import { imageError, quoted } from '../../oci-names/errors.js';
import { platformText } from '../../oci-names/platform.js';
import { parseTypedImage } from '../../oci-names/root-image.js';
import { printJson, printLines, size } from '../output.js';
import { imageProgress } from '../terminal/image-progress.js';
import { untilSignal } from '../until-signal.js';
import { type ImageArguments, isSet, PROGRAM, platformOf, registryOf } from './arguments.js';
import { nameText } from './shown.js';

export async function pull(args: ImageArguments): Promise<number> {
  const [word = ''] = args.words;
  if (isSurelyId(word))
    throw imageError(
      'reference-invalid',
      `${quoted(word)} is an id, and a registry knows names`,
      'pull it by its name',
    );
  const image = parseTypedImage(word);
  const paths = new StorePaths();
  const platform = wantedPlatform(image, platformOf(args));
  const options: PullOptions = { paths, platform, registry: registryOf(args, 'pull') };
  const before = findTag(paths, storeName(image), platformText(platform));
  return untilSignal(
    (signal) =>
      withProgress(isSet(args, 'quiet'), (onProgress) => pullImage(image, { ...options, signal, onProgress })),
    async (pulled) => {
      const isNew = before?.manifest !== pulled.tag.manifest || before.root !== pulled.root.id;
      await report(args, pulled, isNew);
      return 0;
    },
  );
}

/** Shows how far a pull is. */
export async function withProgress<T>(
  isQuiet: boolean,
  work: (onProgress: PullOptions['onProgress']) => Promise<T>,
): Promise<T> {
  if (isQuiet) return work(undefined);
  const progress = imageProgress(process.stderr, { program: PROGRAM });
  try {
    return await work((event) => progress.show(event));
  } finally {
    progress.clear();
  }
}

async function report(args: ImageArguments, { tag, root }: PulledImage, isNew: boolean): Promise<void> {
  if (isSet(args, 'json')) {
    const { format: _format, identity: _identity, manifest, root: _root, ...known } = tag;
    await printJson({ ...known, id: manifest, new: isNew, root: { id: root.id, path: root.path, size: root.size } });
  } else if (isSet(args, 'quiet')) await printLines([tag.manifest]);
  else {
    const state = isNew ? `pulled, ${size(tag.size)}` : 'is up to date';
    await printLines([`${nameText(tag)}: ${state}, ${tag.manifest}`]);
  }
}
