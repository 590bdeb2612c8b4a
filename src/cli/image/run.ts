/** virt-sandbox-image run: virt-sandbox with an image as the root. */
import { findTags } from '../../oci/inspect/find-image.js';
import { Places } from '../../oci/store/places.js';
import { parseTypedImage, rootImageText } from '../../oci-names/root-image.js';
import { SandboxError } from '../../util/errors.js';
import { type ImageArguments, platformName, usageError } from './arguments.js';

/** Options of virt-sandbox that choose what the image chooses here, or that start nothing. */
const NOT_HERE = ['root', 'attach', 'pool'];

export async function run(args: ImageArguments): Promise<number> {
  const unfit = NOT_HERE.find((name) => args.values.has(name));
  if (unfit !== undefined) throw usageError(`--${unfit} is no option of run: the image is the root`, 'run');
  const root = rootOf(args);
  const { runWords } = await import('../sandbox/run-words.js');
  return runWords(sandboxWords(args, root));
}

/** An image of the store by its name or id; otherwise one to be pulled. */
function rootOf(args: ImageArguments): string {
  const [word = ''] = args.words;
  try {
    const [found] = findTags(new Places(), word, platformName(args));
    if (found !== undefined) return found.name;
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code !== 'image-not-found') throw error;
  }
  return rootImageText(parseTypedImage(word));
}

/** The command line of virt-sandbox that means the same. */
export function sandboxWords({ values, words }: ImageArguments, root: string): string[] {
  const options = [...values].flatMap(([name, value]) => {
    // virt-sandbox wants its value.
    if (name === 'tls-verify' && value === true) return [];
    return value === true ? [`--${name}`] : [value].flat().map((one) => `--${name}=${one}`);
  });
  const [, ...command] = words;
  return [...options, `--root=${root}`, '--', ...(command[0] === '--' ? command.slice(1) : command)];
}
