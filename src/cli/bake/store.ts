/** virt-sandbox-bake list, show, rm, prune: the store and its images. */
import { basename } from 'node:path';
import { type StoredImage, type StoredSnapshot, storedImages, storedSnapshots } from '../../image/inspect/inventory.js';
import { pruneImages } from '../../image/remove/prune.js';
import { removeImage } from '../../image/remove/remove-images.js';
import { devicesText } from '../../image/snapshot/record.js';
import { imageNames } from '../../image/store/names.js';
import { imageRef, readImage } from '../../image/store/open.js';
import { defaultStoreDirectory } from '../../image/store/store.js';
import { type SnapshotOwner, type SnapshotState, snapshotStates } from '../../sandbox/snapshot/stored.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { ago, columns, printJson, printLines, size } from '../output.js';
import { type BakeArguments, textOf, usageError, wordsOf } from './arguments.js';
import { pruneStale, removeSnapshotsOf } from './remove-snapshots.js';

/** How many digits of an id are shown; they are enough to name the image. */
const SHORT_ID = 12;

export async function list(args: BakeArguments): Promise<number> {
  const images = await Promise.all((await storedImages(defaultStoreDirectory())).map(withStates));
  if (args['json'] === true) {
    await printJson(images.map(summaryOf));
    return 0;
  }
  if (images.length === 0) {
    process.stderr.write(`virt-sandbox-bake: there is no image in ${defaultStoreDirectory()}\n`);
    return 0;
  }
  const rows = images.map((image) => [
    image.names.join(', ') || '-',
    image.id.slice(0, SHORT_ID),
    image.manifest?.kernel.version ?? 'damaged or of another version',
    image.manifest?.sets.join(',') ?? '-',
    image.manifest?.compression ?? '-',
    size(image.size),
    image.warm.map(snapshotText).join('; ') || '-',
    image.usedBy.length > 0 ? `now, by ${image.usedBy.join(', ')}` : ago(image.lastUsed),
  ]);
  await printLines(columns([['NAME', 'ID', 'KERNEL', 'SETS', 'PACKED', 'SIZE', 'WARM', 'LAST USED'], ...rows]));
  return 0;
}

type JudgedSnapshot = StoredSnapshot & SnapshotState;

/** The image, with the state of each snapshot: whether a sandbox can start from it. */
async function withStates<T extends SnapshotOwner & { readonly warm: readonly StoredSnapshot[] }>(
  image: T,
): Promise<T & { readonly warm: readonly JudgedSnapshot[] }> {
  const states = await snapshotStates(defaultStoreDirectory(), image);
  // A snapshot without a state has been removed meanwhile.
  const warm = image.warm.flatMap((one) => {
    const state = states.get(one.directory);
    return state ? [{ ...one, ...state }] : [];
  });
  return { ...image, warm };
}

/** What a sandbox must ask for to fit, then the size on disk: `512 MiB, mounts=4, root over virtiofs, 68.6 MB`. */
function snapshotText({ memory, slots, root, screen, prepared, size: bytes, ...state }: JudgedSnapshot): string {
  const trouble = state.state === 'valid' ? '' : `, ${stateText(state)}`;
  return `${mebibytes(memory)}, ${devicesText({ slots, root, screen, prepared })}, ${size(bytes)}${trouble}`;
}

function stateText(state: SnapshotState): string {
  return state.state === 'valid' ? 'valid' : `${state.state}: ${state.reason}`;
}

/** In the unit of `--memory`. */
function mebibytes(bytes: number): string {
  return `${bytes / 2 ** 20} MiB`;
}

function summaryOf({ manifest, lastUsed, ...image }: StoredImage): object {
  return {
    ...image,
    lastUsed: lastUsed.toISOString(),
    usable: manifest !== undefined,
    ...(manifest === undefined
      ? {}
      : { kernelVersion: manifest.kernel.version, sets: manifest.sets, compression: manifest.compression }),
  };
}

export async function show(args: BakeArguments): Promise<number> {
  const ref = imageRef(textOf(args, 'image') ?? '');
  const manifest = await readImage(ref);
  const names = imageNames(defaultStoreDirectory()).get(ref.id ?? '') ?? [];
  const { warm } = await withStates({ ...ref, names, warm: storedSnapshots(ref.directory) });
  if (args['json'] === true) {
    await printJson({ directory: ref.directory, names, ...manifest, warm });
    return 0;
  }
  const { kernel, init, features, modules, files } = manifest;
  await printLines([
    `image: ${ref.directory}`,
    `id: ${manifest.id}`,
    ...(names.length > 0 ? [`names: ${names.join(', ')}`] : []),
    `kernel: ${kernel.version}, booted as ${kernel.file}: ${kernel.reason}`,
    `kernel source: ${kernel.source.format}, ${size(kernel.source.size)}, sha256 ${kernel.source.sha256}`,
    `init: ${size(init.size)}, sha256 ${init.sha256}`,
    `sets: ${manifest.sets.join(', ')}`,
    `compression: ${manifest.compression}`,
    `common init: in the ${manifest.commonInit}`,
    '',
    ...columns([
      ['FEATURE', 'SET', 'STATE', 'OPTION'],
      ...features.map(({ title, set, state, option }) => [title, set, state, option]),
    ]),
    '',
    ...columns([
      ['MODULE (in load order)', 'SIZE', 'SHA256'],
      ...modules.map((module) => [module.name, size(module.size), module.sha256]),
    ]),
    '',
    ...columns([['FILE', 'SIZE', 'SHA256'], ...files.map((file) => [file.name, size(file.size), file.sha256])]),
    ...(warm.length > 0
      ? [
          '',
          ...columns([['WARM', 'MEMORY', 'VCPUS', 'ACCEL', 'SLOTS', 'SIZE', 'STATE'], ...warm.map(snapshotRow)]),
          '',
          ...columns([['WARM', 'KERNEL ARGUMENTS'], ...warm.map(argumentsRow)]),
          '',
          ...columns([['WARM', 'USABLE ON HOSTS WITH'], ...warm.map(needsRow)]),
        ]
      : []),
  ]);
  return 0;
}

function snapshotRow({
  directory,
  memory,
  vcpus,
  acceleration,
  slots,
  root,
  screen,
  prepared,
  size: bytes,
  ...state
}: JudgedSnapshot): string[] {
  return [
    basename(directory),
    mebibytes(memory),
    String(vcpus),
    acceleration,
    devicesText({ slots, root, screen, prepared }),
    size(bytes),
    stateText(state),
  ];
}

function argumentsRow({ directory, kernelArguments = 'not known' }: StoredSnapshot): string[] {
  return [basename(directory), oneLine(kernelArguments)];
}

/** `QEMU 10.0.2; libvirt 11.3.0; a processor …`, and KVM if the machine was under it. */
function needsRow({ directory, acceleration, needs }: StoredSnapshot): string[] {
  const texts = Object.values(needs ?? {}).map(({ text }) => oneLine(text));
  const all = [...(acceleration === 'kvm' ? ['KVM'] : []), ...texts];
  return [basename(directory), needs === undefined ? 'not known' : all.join('; ')];
}

interface Removed {
  /** For JSON. */
  readonly result: object;
  /** For a person. */
  readonly done: string;
}

async function removeWhole(called: string): Promise<Removed> {
  const result = await removeImage(defaultStoreDirectory(), called);
  return { result, done: result.removed ? 'removed' : 'only the name was removed' };
}

/** Removes each image by itself: one that cannot be removed does not keep the others. */
export async function remove(args: BakeArguments): Promise<number> {
  const json = args['json'] === true;
  const removeOne = args['warm'] === true ? removeSnapshotsOf : removeWhole;
  const results: object[] = [];
  // Print when all is removed: otherwise a reader that goes away would end the removing.
  const lines: string[] = [];
  let status = 0;
  try {
    for (const called of wordsOf(args, 'image')) {
      try {
        const { result, done } = await removeOne(called);
        results.push({ image: called, ...result });
        lines.push(`${called}: ${done}`);
      } catch (error) {
        if (!(error instanceof SandboxError)) throw error;
        const { code, message, remedy, exitCode } = error;
        results.push({ image: called, removed: false, error: { code, message, remedy } });
        process.stderr.write(`virt-sandbox-bake: ${error.line}\n`);
        status = exitCode;
      }
    }
  } finally {
    await (json ? printJson(results) : printLines(lines));
  }
  return status;
}

export async function prune(args: BakeArguments): Promise<number> {
  const dryRun = args['dry-run'] === true;
  const age = textOf(args, 'older-than');
  const options = { dryRun, ...(age === undefined ? {} : { olderThan: durationOf(age) }) };
  if (args['stale'] === true) return pruneStale(options, args['json'] === true);
  const { images, workspaces } = await pruneImages(defaultStoreDirectory(), options);
  const freed = images.reduce((sum, image) => sum + image.size, 0);
  if (args['json'] === true) {
    await printJson({ dryRun, freed, images: images.map(summaryOf), workspaces });
    return 0;
  }
  const done = dryRun ? 'would be removed' : 'removed';
  await printLines([
    ...images.map((image) => `${image.id}: ${done}, ${size(image.size)}, last used ${ago(image.lastUsed)}`),
    ...workspaces.map((path) => `${path}: ${done}, no longer needed`),
    `${images.length} images ${done}, ${size(freed)}`,
  ]);
  return 0;
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30d`, `12h`, `5m` or `10s` in milliseconds. */
function durationOf(text: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (count === undefined) throw usageError(`--older-than ${text} is not a number followed by d, h, m or s`);
  return Number(count) * (UNITS[unit] ?? 0);
}
