/** virt-sandbox-image verify: reads images, and reports what is damaged. */
import { findTags } from '../../oci/inspect/find-image.js';
import { Places } from '../../oci/store/places.js';
import { findTag, listTags, type Tag } from '../../oci/store/tags.js';
import { type Damage, verifyImage } from '../../oci/store/verify.js';
import { oneLine } from '../../util/errors.js';
import { printJson, printLines } from '../output.js';
import { progressLine } from '../terminal/progress-line.js';
import { type ImageArguments, isSet, PROGRAM, platformName } from './arguments.js';
import { nameText } from './shown.js';
import { untilSignal } from './until-signal.js';

/** Exit status when something is damaged. */
const FOUND = 1;

export async function verify(args: ImageArguments): Promise<number> {
  const places = new Places();
  const platform = platformName(args);
  const tags =
    args.words.length > 0
      ? onceEach(args.words.flatMap((word) => findTags(places, word, platform)))
      : listTags(places).filter((tag) => platform === undefined || tag.platform === platform);
  return untilSignal(async (signal) => {
    const results: { readonly tag: Tag; readonly damage: readonly Damage[] }[] = [];
    const progress = progressLine(PROGRAM);
    try {
      for (const tag of tags) {
        progress.show(`reading ${nameText(tag)}`);
        const damage = await verifyImage(places, tag, { signal, remove: isSet(args, 'remove') });
        // One that was removed meanwhile lacks all.
        if (damage.length > 0 && findTag(places, tag.name, tag.platform)?.manifest !== tag.manifest) continue;
        results.push({ tag, damage });
      }
    } finally {
      progress.clear();
    }
    if (isSet(args, 'json')) await printJson(results.map(resultJson));
    else await printLines(results.flatMap(resultLines));
    return results.some(({ damage }) => damage.length > 0) ? FOUND : 0;
  });
}

/** Several words may mean one image. */
function onceEach(tags: readonly Tag[]): readonly Tag[] {
  return [...new Map(tags.map((tag) => [JSON.stringify([tag.name, tag.platform]), tag])).values()];
}

function resultJson({ tag, damage }: { readonly tag: Tag; readonly damage: readonly Damage[] }): object {
  return { name: tag.name, platform: tag.platform, id: tag.manifest, whole: damage.length === 0, damage };
}

function resultLines({ tag, damage }: { readonly tag: Tag; readonly damage: readonly Damage[] }): string[] {
  const name = `${nameText(tag)} (${tag.platform})`;
  if (damage.length === 0) return [`${name}: whole`];
  return damage.map(({ path, problem }) => `${name}: ${oneLine(path)} ${problem}`);
}
