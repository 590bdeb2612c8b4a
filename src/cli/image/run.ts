/** virt-sandbox-image run: virt-sandbox with an image as the root. */
import { findTags } from '../../oci/inspect/find-image.js';
import { obtainImage } from '../../oci/pull/obtain.js';
import type { PullPolicy } from '../../oci/pull/types.js';
import { Places } from '../../oci/store/places.js';
import { parseRootImage, parseTypedImage, type RootImage, rootImageText } from '../../oci-names/root-image.js';
import { SandboxError } from '../../util/errors.js';
import { type ImageArguments, isSet, platformName, platformOf, registryOf, textOf, usageError } from './arguments.js';
import { runOptions } from './options.js';
import { withProgress } from './pull.js';
import { untilSignal } from './until-signal.js';

/** Options of virt-sandbox that choose what the image chooses here, or that start nothing. */
const NOT_HERE = ['root', 'attach', 'pool'];
const POLICIES: readonly PullPolicy[] = ['missing', 'always', 'never'];

export async function run(args: ImageArguments): Promise<number> {
  const unfit = NOT_HERE.find((name) => args.values.has(name));
  if (unfit !== undefined) throw usageError(`--${unfit} is no option of run: the image is the root`, 'run');
  const [word = ''] = args.words;
  const places = new Places();
  const image = meant(places, word, platformName(args));
  const policy = policyOf(args);
  const options = { places, platform: platformOf(args), registry: registryOf(args, 'run') };
  const status = await untilSignal(async (signal) => {
    // This process has a lease on it from now on, and virt-sandbox finds it.
    await withProgress(isSet(args, 'quiet'), (onProgress) =>
      obtainImage(image, policy, { ...options, signal, onProgress }),
    );
    return 0;
  });
  if (status !== 0) return status;
  const { runWords } = await import('../sandbox/run-words.js');
  return runWords(sandboxWords(args, rootImageText(image)));
}

/** An image of the store by its name or id; otherwise one to be pulled. */
function meant(places: Places, word: string, platform: string | undefined): RootImage {
  try {
    const [found] = findTags(places, word, platform);
    if (found !== undefined) return parseRootImage(found.name);
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code !== 'image-not-found') throw error;
  }
  return parseTypedImage(word);
}

/** @throws {SandboxError} `usage` */
function policyOf(args: ImageArguments): PullPolicy {
  const text = textOf(args, 'pull') ?? 'missing';
  const policy = POLICIES.find((one) => one === text);
  if (policy !== undefined) return policy;
  throw usageError(`--pull ${JSON.stringify(text)} is not one of ${POLICIES.join(', ')}`, 'run');
}

/** The command line of virt-sandbox that means the same. */
export function sandboxWords({ values, words }: ImageArguments, root: string): string[] {
  const own: readonly string[] = Object.keys(runOptions);
  const options = [...values].flatMap(([name, value]) => {
    if (own.includes(name)) return [];
    return value === true ? [`--${name}`] : [value].flat().map((one) => `--${name}=${one}`);
  });
  const [, ...command] = words;
  return [...options, `--root=${root}`, '--', ...(command[0] === '--' ? command.slice(1) : command)];
}
