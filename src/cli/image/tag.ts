/** virt-sandbox-image tag: gives an image one more name. */
import { findImage } from '../../oci/inspect/find-image.js';
import { tagImage } from '../../oci/store/list.js';
import { findRoot, usersOf } from '../../oci/store/roots.js';
import { StorePaths } from '../../oci/store/store-paths.js';
import type { Tag } from '../../oci/store/tags.js';
import { imageError, quoted } from '../../oci-names/errors.js';
import { parseTypedImage, rootImageText } from '../../oci-names/root-image.js';
import { printJson, printLines } from '../output.js';
import { untilSignal } from '../until-signal.js';
import { type ImageArguments, isSet, platformName } from './arguments.js';
import { imageJson } from './list.js';
import { nameText } from './shown.js';

export async function tag(args: ImageArguments): Promise<number> {
  const paths = new StorePaths();
  const [word = '', given = ''] = args.words;
  const found = findImage(paths, word, platformName(args));
  const name = newName(given);
  return untilSignal(
    (signal) => tagImage(paths, found, name, signal),
    async (named) => {
      await (isSet(args, 'json')
        ? printJson(tagJson(paths, named))
        : printLines([`${nameText(named)}: ${named.manifest}`]));
      return 0;
    },
  );
}

/** As `list` has it. */
function tagJson(paths: StorePaths, named: Tag): object {
  const root = findRoot(paths, named.root);
  return imageJson({ tag: named, root, lastUsed: undefined, usedBy: usersOf(paths, named.root) });
}

/** @throws {SandboxError} `reference-invalid`; `name-not-free`: it says already what it means */
function newName(text: string): string {
  const image = parseTypedImage(text);
  if (image.transport === 'docker' && image.reference.digest === undefined) return rootImageText(image);
  throw imageError(
    'name-not-free',
    `${quoted(text)} cannot name another image: it says which one it means`,
    'choose a name of the form [HOST/]NAME[:TAG]',
  );
}
