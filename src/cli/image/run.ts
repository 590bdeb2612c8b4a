/** virt-sandbox-image run: virt-sandbox with an image as the root. */
import { findById } from '../../oci/inspect/find-image.js';
import { isOfSource } from '../../oci/pull/find.js';
import { StorePaths } from '../../oci/store/store-paths.js';
import type { Tag } from '../../oci/store/tags.js';
import { imageError, listOf, quoted } from '../../oci-names/errors.js';
import { parseRootImage, parseTypedImage, rootImageText } from '../../oci-names/root-image.js';
import { type ImageArguments, platformName, textOf, usageError } from './arguments.js';

/** Options of virt-sandbox that choose what the image chooses here, or that start nothing. */
const UNFIT_OPTIONS = ['root', 'attach', 'pool'];

export async function run(args: ImageArguments): Promise<number> {
  const unfit = UNFIT_OPTIONS.find((name) => args.values.has(name));
  if (unfit !== undefined) throw usageError(`--${unfit} is no option of run: the image is the root`, 'run');
  const { root, more } = rootOf(args);
  const { runWords } = await import('../sandbox/run-words.js');
  return runWords(sandboxWords({ ...args, values: new Map([...args.values, ...more]) }, root));
}

/** The value of --root, and options that go with it. */
interface RunRoot {
  readonly root: string;
  readonly more: readonly (readonly [name: string, value: string])[];
}

/**
 * What a word means: an image of the store by its id, or a name.
 * @throws {SandboxError} `usage`, `image-not-found`, `image-ambiguous`, `image-changed`, and those of names
 */
export function rootOf(args: ImageArguments, paths = new StorePaths()): RunRoot {
  const [word = ''] = args.words;
  const tags = findById(paths, word, platformName(args));
  if (tags.length === 0) return { root: rootImageText(parseTypedImage(word)), more: [] };
  if (textOf(args, 'pull') === 'always')
    throw usageError(`--pull always has nothing to ask: ${quoted(word)} says which image it is`, 'run');
  return rootOfId(word, tags);
}

/** An image that is there, and no other: its name may mean another one by the time that the sandbox starts. */
function rootOfId(word: string, tags: readonly Tag[]): RunRoot {
  const [given, pulled] = [tags.filter(({ local }) => local === true), tags.filter(({ local }) => local !== true)];
  // A registry that an image came from has what may be missing of it.
  const images = [...pulled, ...given].map((tag) => ({ tag, image: parseRootImage(tag.name) }));
  for (const { tag, image } of images)
    if (image.transport === 'docker') {
      const reference = { ...image.reference, digest: tag.manifest };
      return { root: rootImageText({ ...image, reference }), more: [['platform', tag.platform]] };
    }
  const same = images.find(({ tag, image }) => isOfSource(tag, image));
  // Nobody reads the file again that has changed.
  if (same !== undefined)
    return {
      root: same.tag.name,
      more: [
        ['platform', same.tag.platform],
        ['pull', 'never'],
      ],
    };
  const names = listOf(tags.map(({ name }) => name));
  throw imageError(
    'image-changed',
    `the image ${quoted(word)} was read from ${names}, which has changed since, or just before`,
    'run it by that name, which reads it again',
  );
}

/** The command line of virt-sandbox that means the same. */
export function sandboxWords({ values, words }: ImageArguments, root: string): string[] {
  const options = [...values].flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [value].flat().map((one) => `--${name}=${one}`),
  );
  const [, ...command] = words;
  return [...options, `--root=${root}`, '--', ...(command[0] === '--' ? command.slice(1) : command)];
}
