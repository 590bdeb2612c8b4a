/** virt-sandbox-image rm and prune: removes images, and what no image needs. */
import { findTags } from '../../oci/inspect/find-image.js';
import type { Unreadable } from '../../oci/store/needed.js';
import { pruneStore, type RemovedImages, removeTags } from '../../oci/store/remove.js';
import { StorePaths } from '../../oci/store/store-paths.js';
import type { Tag } from '../../oci/store/tags.js';
import { imageError, listOf, quoted } from '../../oci-names/errors.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { printJson, printLines, size } from '../output.js';
import { failureOf, tellFailure } from '../program.js';
import { untilSignal } from '../until-signal.js';
import { type ImageArguments, isSet, PROGRAM, platformName } from './arguments.js';
import { counted, nameText } from './shown.js';

/** What became of one word. */
interface Outcome {
  readonly word: string;
  readonly removed?: RemovedImages;
  readonly error?: unknown;
}

/** Removes each image by itself: one that cannot be removed does not keep the others. */
export async function remove(args: ImageArguments): Promise<number> {
  return untilSignal(
    (signal) => removeAll(new StorePaths(), args.words, platformName(args), signal),
    // Print when all is removed: otherwise a reader that goes away would end the removing.
    async (outcomes) => {
      const unknown = outcomes.find(({ error }) => error !== undefined && !(error instanceof SandboxError));
      const known = outcomes.filter((one) => one !== unknown);
      const lines = known.flatMap(({ word, removed }) =>
        removed === undefined ? [] : `${oneLine(word)}: removed, ${size(removed.bytes)}`,
      );
      await (isSet(args, 'json') ? printJson(known.map(outcomeJson)) : printLines(lines));
      tellUnreadable(known.findLast(({ removed }) => removed !== undefined)?.removed?.unreadable ?? []);
      if (unknown !== undefined) throw unknown.error;
      const failed = known.find(({ error }) => error !== undefined);
      return failed === undefined ? 0 : failureOf(PROGRAM, failed.error).status;
    },
  );
}

async function removeAll(
  paths: StorePaths,
  words: readonly string[],
  platform: string | undefined,
  signal: AbortSignal,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const word of words) {
    if (signal.aborted) break;
    try {
      outcomes.push({ word, removed: await removeOne(paths, word, platform, signal) });
    } catch (error) {
      if (error instanceof SandboxError && error.code === 'aborted') break;
      outcomes.push({ word, error });
      if (!(error instanceof SandboxError)) break;
      tellFailure(PROGRAM, error);
    }
  }
  return outcomes;
}

function outcomeJson({ word, removed, error }: Outcome): object {
  if (removed !== undefined) return { image: word, removed: true, ...removedJson(removed) };
  if (!(error instanceof SandboxError)) throw new Error('only a SandboxError has a JSON form');
  const { code, message, remedy } = error;
  return { image: word, removed: false, error: { code, message, remedy } };
}

/** @throws {SandboxError} `image-ambiguous` for an id with several names, and those of {@link removeTags} */
async function removeOne(
  paths: StorePaths,
  word: string,
  platform: string | undefined,
  signal: AbortSignal,
): Promise<RemovedImages> {
  const tags = findTags(paths, word, platform);
  const [name, ...others] = new Set(tags.map((tag) => tag.name));
  if (name === undefined || others.length > 0) {
    const names = listOf([...new Set(tags.map(nameText))]);
    throw imageError('image-ambiguous', `${quoted(word)} has the names ${names}`, 'remove each by its name');
  }
  return removeTags(paths, name, tags, signal);
}

export async function prune(args: ImageArguments): Promise<number> {
  const dryRun = isSet(args, 'dry-run');
  return untilSignal(
    (signal) => pruneStore(new StorePaths(), { all: isSet(args, 'all'), dryRun, signal }),
    async (removed) => {
      if (isSet(args, 'json')) await printJson({ dryRun, ...removedJson(removed) });
      else await printLines(pruneLines(removed, dryRun));
      tellUnreadable(removed.unreadable);
      return 0;
    },
  );
}

function pruneLines({ tags, blobs, roots, leftovers, records, bytes }: RemovedImages, dryRun: boolean): string[] {
  const done = dryRun ? 'would be removed' : 'removed';
  const parts = `${counted(blobs.length, 'blob')} and ${counted(roots.length, 'file system')} ${done}`;
  const left = leftovers.length === 0 ? '' : `, and ${counted(leftovers.length, 'file')} of pulls that did not end`;
  return [
    ...tags.map((tag) => `${nameText(tag)} (${tag.platform}): ${done}`),
    ...records.map((path) => `${oneLine(path)}, which cannot be read: ${done}`),
    `${parts}${left}, ${size(bytes)}`,
  ];
}

function removedJson({ tags, blobs, roots, leftovers, records, unreadable, bytes }: RemovedImages): object {
  const names = tags.map(nameJson);
  const why = unreadable.map(({ path, tag }) => ({ path, ...(tag === undefined ? {} : nameJson(tag)) }));
  return { names, blobs, roots, leftovers, records, unreadable: why, bytes };
}

function nameJson({ name, platform }: Tag): object {
  return { name, platform };
}

/** Says on stderr why layers stay. */
function tellUnreadable(unreadable: readonly Unreadable[]): void {
  for (const one of unreadable) process.stderr.write(`${PROGRAM}: ${oneLine(unreadableText(one))}\n`);
}

function unreadableText({ path, tag }: Unreadable): string {
  if (tag === undefined)
    return (
      `layers and file systems stay that perhaps no image needs: ${path} cannot be read, and may be a name ` +
      'of another version; prune --all removes it when no sandbox uses that image'
    );
  return (
    `layers stay that perhaps no image needs: the manifest ${path} of ${nameText(tag)} (${tag.platform}) is missing ` +
    'or damaged; pull that image again, or remove it'
  );
}
