/** virt-sandbox-image rm and prune: removes images, and what no image needs. */
import { findTags } from '../../oci/inspect/find-image.js';
import { Places } from '../../oci/store/places.js';
import { pruneStore, type RemovedImages, removeTags } from '../../oci/store/remove.js';
import { imageError, listOf, quoted } from '../../oci-names/errors.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { printJson, printLines, size } from '../output.js';
import { tellFailure } from '../program.js';
import { type ImageArguments, isSet, PROGRAM, platformName } from './arguments.js';
import { counted, nameText } from './shown.js';

/** Removes each image by itself: one that cannot be removed does not keep the others. */
export async function remove(args: ImageArguments): Promise<number> {
  const places = new Places();
  const results: object[] = [];
  // Print when all is removed: otherwise a reader that goes away would end the removing.
  const lines: string[] = [];
  let status: number | undefined;
  try {
    for (const word of args.words) {
      try {
        const removed = await removeOne(places, word, platformName(args));
        results.push({ image: word, removed: true, ...removedJson(removed) });
        lines.push(`${oneLine(word)}: removed, ${size(removed.bytes)}`);
      } catch (error) {
        if (!(error instanceof SandboxError)) throw error;
        const { code, message, remedy } = error;
        results.push({ image: word, removed: false, error: { code, message, remedy } });
        const failed = tellFailure(PROGRAM, error);
        status ??= failed;
      }
    }
  } finally {
    await (isSet(args, 'json') ? printJson(results) : printLines(lines));
  }
  return status ?? 0;
}

/** @throws {SandboxError} `image-ambiguous` for an id with several names, and those of {@link removeTags} */
async function removeOne(places: Places, word: string, platform: string | undefined): Promise<RemovedImages> {
  const tags = findTags(places, word, platform);
  const [name, ...others] = new Set(tags.map((tag) => tag.name));
  if (name === undefined || others.length > 0) {
    const names = listOf([...new Set(tags.map(nameText))]);
    throw imageError('image-ambiguous', `${quoted(word)} has the names ${names}`, 'remove each by its name');
  }
  return removeTags(places, name, tags);
}

export async function prune(args: ImageArguments): Promise<number> {
  const dryRun = isSet(args, 'dry-run');
  const removed = await pruneStore(new Places(), { all: isSet(args, 'all'), dryRun });
  if (isSet(args, 'json')) {
    await printJson({ dryRun, ...removedJson(removed) });
    return 0;
  }
  const done = dryRun ? 'would be removed' : 'removed';
  const { tags, blobs, roots, leftovers, bytes } = removed;
  const parts = `${counted(blobs.length, 'blob')} and ${counted(roots.length, 'file system')} ${done}`;
  const left = leftovers.length === 0 ? '' : `, and ${counted(leftovers.length, 'file')} of pulls that did not end`;
  await printLines([
    ...tags.map((tag) => `${nameText(tag)} (${tag.platform}): ${done}`),
    `${parts}${left}, ${size(bytes)}`,
  ]);
  return 0;
}

function removedJson({ tags, blobs, roots, leftovers, bytes }: RemovedImages): object {
  return { names: tags.map(({ name, platform }) => ({ name, platform })), blobs, roots, leftovers, bytes };
}
