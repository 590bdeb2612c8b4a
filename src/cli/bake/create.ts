/** virt-sandbox-bake create */
import { checkSlots, DEFAULT_SLOTS, mostSlots, parseSlots, type Slots, slotsText } from '../../config/parsers/slots.js';
import { type CreatedImage, type CreateOptions, createImage } from '../../image/create-ahead.js';
import { INITRD_COMPRESSIONS, type InitrdCompression } from '../../image/manifest.js';
import type { Preparation } from '../../sandbox/preparation.js';
import { moduleSetsWith } from '../../sandbox/prepare/module-sets.js';
import { setsOfSlots, VIRTIOFS_SET } from '../../sandbox/snapshot/slots.js';
import { SandboxError } from '../../util/errors.js';
import { hostProgram } from '../../util/programs.js';
import { printJson, printLines, size } from '../output.js';
import { type ProgressLine, progressLine } from '../terminal/progress-line.js';
import { type BakeArguments, pathOf, textOf, usageError, wordsOf } from './arguments.js';
import { createSnapshot, type SnapshotResult } from './create-snapshot.js';
import { type ForSandbox, readFor } from './for-sandbox.js';
import { preparationOf } from './preparation.js';

export async function create(args: BakeArguments): Promise<number> {
  const withSnapshot = args['warm'] === true;
  for (const name of withSnapshot ? [] : ['slots', 'connect', 'prepare'])
    if (args[name] !== undefined) throw usageError(`--${name} goes with --warm`);
  const preparation = preparationOf(args);
  if (preparation !== undefined && textOf(args, 'common-init') === 'guest')
    throw usageError('--prepare needs the common init in the host, and --common-init puts it into the guest');
  const progress = progressLine('virt-sandbox-bake');
  try {
    const wanted = await readFor(args);
    if (!withSnapshot) {
      // An image that is named is used as it is, also where its root has to be served otherwise.
      const isNamed = textOf(args, 'name') !== undefined || textOf(args, 'output') !== undefined;
      const roots = isNamed && !wordsOf(args, 'with').some(namesRoot) ? wanted.otherRoots : [];
      const image = await createImage(imageOptions(args, wanted, wanted.sets, progress.show, roots));
      progress.clear();
      await report(args, image);
      return 0;
    }
    const slots = slotsOf(args, wanted);
    if (wanted.obstacle !== undefined)
      progress.note(`warning: a sandbox with the options of --for will boot cold, because ${wanted.obstacle}`);
    const { image, snapshot } = await createWithSnapshot(args, wanted, slots, progress, preparation);
    progress.clear();
    await report(args, image, snapshot);
    return 0;
  } finally {
    progress.clear();
  }
}

function imageOptions(
  args: BakeArguments,
  { kernel, choices }: ForSandbox,
  sets: readonly string[],
  onProgress: (message: string) => void,
  forced: readonly string[] = [],
): CreateOptions {
  return {
    kernel,
    sets: moduleSetsWith(sets, [
      ...wordsOf(args, 'with').flatMap((word) => word.split(',').filter(Boolean)),
      ...forced,
    ]),
    nativeInit: hostProgram('init'),
    ...choices,
    compression: compressionOf(textOf(args, 'compress') ?? choices.compression),
    guestNode: guestNodeOf(args),
    rebuild: args['rebuild'] === true,
    name: textOf(args, 'name'),
    output: textOf(args, 'output'),
    onProgress,
  };
}

/**
 * Creates the image and saves a machine with it. A kernel without virtiofs has a snapshot too: it fits all sandboxes
 * but those whose directories virtiofs would serve.
 */
async function createWithSnapshot(
  args: BakeArguments,
  wanted: ForSandbox,
  slots: Slots,
  progress: ProgressLine,
  preparation: Preparation | undefined,
): Promise<{ readonly image: CreatedImage; readonly snapshot: SnapshotResult | undefined }> {
  let snapshot: SnapshotResult | undefined;
  const createWith = (sets: readonly string[]) =>
    createImage({
      ...imageOptions(args, wanted, [...wanted.sets, ...sets], progress.show, forced),
      complete: async (directory) => {
        const observers = { onProgress: progress.show, onFallback: progress.note };
        snapshot = await createSnapshot(args, { ...wanted, preparation }, slots, directory, observers);
      },
    });
  const sets = setsOfSlots(slots);
  // The mount slots of a snapshot are 9p, and a sandbox of it may have its root over either, whatever else it has.
  const forced = [...(wanted.has9p || slots.mounts > 0 ? ['root-9p'] : []), ...wanted.otherRoots];
  const image = await createWith(sets).catch((error: unknown) => {
    const isAbsent = error instanceof SandboxError && error.code === 'feature-absent';
    if (!isAbsent || !sets.includes(VIRTIOFS_SET)) throw error;
    return createWith(sets.filter((set) => set !== VIRTIOFS_SET));
  });
  return { image, snapshot };
}

/** Whether the sets of `--with` say what may serve the root. */
function namesRoot(words: string): boolean {
  return words.split(',').some((name) => name.startsWith('root-'));
}

async function report(args: BakeArguments, image: CreatedImage, snapshot?: SnapshotResult): Promise<void> {
  const { manifest } = image;
  const result = {
    image: image.directory,
    id: image.id,
    ...(image.name === undefined ? {} : { name: image.name }),
    ...(image.output === undefined ? {} : { output: image.output }),
    kernelVersion: image.kernelVersion,
    reason: image.reason,
    sets: manifest.sets,
    compression: manifest.compression,
    size: manifest.files.reduce((sum, file) => sum + file.size, 0),
    built: image.fresh,
    ...snapshot,
  };
  if (args['json'] === true) {
    await printJson(result);
    return;
  }
  const texts = {
    ...result,
    sets: result.sets.join(', '),
    size: size(result.size),
    ...(snapshot ? { warmSize: size(snapshot.warmSize), slots: slotsText(snapshot.slots) } : {}),
  };
  await printLines(Object.entries(texts).map(([name, value]) => `${name}: ${value}`));
}

/** The slots of --slots; else the default ones and those that the sandbox of --for needs. */
function slotsOf(args: BakeArguments, { slots: needed, has9p }: ForSandbox): Slots {
  const usual = { ...mostSlots(DEFAULT_SLOTS, needed), ...(has9p ? {} : { mounts: needed.mounts }) };
  const text = textOf(args, 'slots');
  return text === undefined ? checkSlots(usual) : parseSlots(text, usual);
}

/** The Node.js that goes into the image, for --common-init guest. */
function guestNodeOf(args: BakeArguments): string | undefined {
  const where = textOf(args, 'common-init') ?? 'host';
  const node = pathOf(args, 'node');
  if (where === 'guest') return node ?? process.execPath;
  if (where !== 'host') throw usageError(`--common-init ${where} is neither host nor guest`);
  if (node !== undefined) throw usageError('--node goes with --common-init guest');
  return undefined;
}

function compressionOf(given = 'none'): InitrdCompression {
  const known = INITRD_COMPRESSIONS.find((name) => name === given);
  if (known === undefined) throw usageError(`--compress ${given} is not one of ${INITRD_COMPRESSIONS.join(', ')}`);
  return known;
}
