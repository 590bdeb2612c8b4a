/** virt-sandbox-image tag: gives an image one more name. */
import { findImage } from '../../oci/inspect/find-image.js';
import { tagImage } from '../../oci/store/list.js';
import { Places } from '../../oci/store/places.js';
import { imageError, quoted } from '../../oci-names/errors.js';
import { parseTypedImage, rootImageText } from '../../oci-names/root-image.js';
import { printLines } from '../output.js';
import { type ImageArguments, platformName } from './arguments.js';
import { nameText } from './shown.js';
import { untilSignal } from './until-signal.js';

export async function tag(args: ImageArguments): Promise<number> {
  const places = new Places();
  const [word = '', given = ''] = args.words;
  const found = findImage(places, word, platformName(args));
  const name = newName(given);
  return untilSignal(async (signal) => {
    const named = await tagImage(places, found, name, signal);
    await printLines([`${nameText(named)}: ${named.manifest}`]);
    return 0;
  });
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
