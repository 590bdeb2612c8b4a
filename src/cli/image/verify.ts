/** virt-sandbox-image verify: reads images, and reports what is damaged. */
import { findTags } from '../../oci/inspect/find-image.js';
import { StorePaths } from '../../oci/store/store-paths.js';
import { findTag, listTags, type Tag } from '../../oci/store/tags.js';
import { type Damage, type VerifyOptions, verifyImage } from '../../oci/store/verify.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { printJson, printLines } from '../output.js';
import { progressLine } from '../terminal/progress-line.js';
import { untilSignal } from '../until-signal.js';
import { type ImageArguments, isSet, PROGRAM, platformName } from './arguments.js';
import { nameText } from './shown.js';

/** Exit status when something is damaged. */
const FOUND = 1;

export async function verify(args: ImageArguments): Promise<number> {
  const paths = new StorePaths();
  const platform = platformName(args);
  const tags =
    args.words.length > 0
      ? onceEach(args.words.flatMap((word) => findTags(paths, word, platform)))
      : listTags(paths).filter((tag) => platform === undefined || tag.platform === platform);
  return untilSignal(
    (signal) => verifyAll(paths, tags, { signal, remove: isSet(args, 'remove') }),
    async (results) => {
      if (isSet(args, 'json')) await printJson(results.map(resultJson));
      else await printLines(results.flatMap(resultLines));
      return results.some(isDamaged) ? FOUND : 0;
    },
  );
}

interface Verified {
  readonly tag: Tag;
  readonly damage: readonly Damage[];
}

async function verifyAll(
  paths: StorePaths,
  tags: readonly Tag[],
  options: VerifyOptions,
): Promise<readonly Verified[]> {
  const results: Verified[] = [];
  /** What was found of images: one with several names is read once. */
  const known = new Map<string, readonly Damage[]>();
  const progress = progressLine(PROGRAM);
  const onWait = () => progress.show('waiting for the pulls of others to end');
  try {
    for (const tag of tags) {
      progress.show(`reading ${nameText(tag)}`);
      const key = JSON.stringify([tag.top, tag.manifest, tag.config, tag.root]);
      const damage = known.get(key) ?? (await verifyImage(paths, tag, { ...options, onWait }));
      known.set(key, damage);
      // One that was removed meanwhile lacks all.
      if (damage.length > 0 && findTag(paths, tag.name, tag.platform)?.manifest !== tag.manifest) continue;
      results.push({ tag, damage });
    }
  } catch (error) {
    // What --remove has removed so far is told.
    if (!(error instanceof SandboxError) || error.code !== 'aborted' || !results.some(isDamaged)) throw error;
  } finally {
    progress.clear();
  }
  return results;
}

function isDamaged({ damage }: Verified): boolean {
  return damage.length > 0;
}

/** Several words may mean one image. */
function onceEach(tags: readonly Tag[]): readonly Tag[] {
  return [...new Map(tags.map((tag) => [JSON.stringify([tag.name, tag.platform]), tag])).values()];
}

function resultJson({ tag, damage }: Verified): object {
  return { name: tag.name, platform: tag.platform, id: tag.manifest, whole: damage.length === 0, damage };
}

function resultLines({ tag, damage }: Verified): string[] {
  const name = `${nameText(tag)} (${tag.platform})`;
  if (damage.length === 0) return [`${name}: whole`];
  return damage.map(({ path, problem }) => `${name}: ${oneLine(path)} ${problem}`);
}
