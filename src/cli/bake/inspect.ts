/** virt-sandbox-bake ls, cat, unpack, diff, verify: look into an image or any initrd. */
import { printable } from '../../image/archive/newc.js';
import type { ArchiveEntry } from '../../image/archive/types.js';
import { type UnpackResult, unpackArchives } from '../../image/archive/unpack.js';
import { differences } from '../../image/inspect/diff.js';
import { fileIn, readInitrd } from '../../image/inspect/source.js';
import { verifyImage } from '../../image/inspect/verify.js';
import { imageIds, imageRef } from '../../image/store/open.js';
import { defaultStoreDirectory } from '../../image/store/store.js';
import { columns, printJson, printLines } from '../output.js';
import { print } from '../terminal/output.js';
import { progressLine } from '../terminal/progress-line.js';
import { type BakeArguments, textOf, usageError, wordsOf } from './arguments.js';

/** Exit status of diff for a difference and of verify for damage. */
const FOUND = 1;

export async function ls(args: BakeArguments): Promise<number> {
  const { path, archives } = await readInitrd(textOf(args, 'image') ?? '');
  if (args['json'] === true) {
    await printJson({
      path,
      archives: archives.map((archive) => ({ ...archive, entries: archive.entries.map(entryJson) })),
    });
    return 0;
  }
  await printLines(
    archives.flatMap(({ offset, compression, entries }, i) => {
      const packed = compression === 'none' ? 'not packed' : `packed with ${compression}`;
      const which = `${i > 0 ? '\n' : ''}archive ${i + 1} of ${archives.length}: at byte ${offset}, ${packed}`;
      return [...(archives.length > 1 ? [which] : []), ...columns(entries.map(entryRow))];
    }),
  );
  return 0;
}

function entryJson(entry: ArchiveEntry): object {
  const { data, name, ...rest } = entry;
  return {
    name: printable(name),
    ...rest,
    size: data.length,
    ...(entry.type === 'symlink' ? { target: printable(data.toString('latin1')) } : {}),
  };
}

/** The columns of `ls -l`. */
function entryRow(entry: ArchiveEntry): string[] {
  const { name, nlink, uid, gid, mtime, data, type, rdevMajor, rdevMinor } = entry;
  const target = type === 'symlink' ? ` -> ${printable(data.toString('latin1'))}` : '';
  const isDevice = type === 'character-device' || type === 'block-device';
  return [
    modeText(entry),
    String(nlink),
    `${uid}:${gid}`,
    isDevice ? `${rdevMajor},${rdevMinor}` : String(data.length),
    new Date(mtime * 1000).toISOString().slice(0, 16).replace('T', ' '),
    printable(name) + target,
  ];
}

const LETTERS: Readonly<Record<ArchiveEntry['type'], string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  'character-device': 'c',
  'block-device': 'b',
  fifo: 'p',
  socket: 's',
  unknown: '?',
};

function modeText({ type, mode }: ArchiveEntry): string {
  const rwx = (bits: number, special: boolean, letter: string) =>
    (bits & 4 ? 'r' : '-') +
    (bits & 2 ? 'w' : '-') +
    (special ? (bits & 1 ? letter : letter.toUpperCase()) : bits & 1 ? 'x' : '-');
  return (
    LETTERS[type] +
    rwx(mode >> 6, (mode & 0o4000) !== 0, 's') +
    rwx(mode >> 3, (mode & 0o2000) !== 0, 's') +
    rwx(mode, (mode & 0o1000) !== 0, 't')
  );
}

export async function cat(args: BakeArguments): Promise<number> {
  const { content, name, mode } = fileIn(await readInitrd(textOf(args, 'image') ?? ''), textOf(args, 'file') ?? '');
  if (args['json'] === true) {
    await printJson({ name: printable(name), mode, size: content.length, base64: content.toString('base64') });
  } else {
    await print(content);
  }
  return 0;
}

export async function unpack(args: BakeArguments): Promise<number> {
  const directory = textOf(args, 'directory') ?? '';
  const progress = progressLine('virt-sandbox-bake');
  let result: UnpackResult;
  try {
    progress.show(`unpacking into ${directory}`);
    const { archives } = await readInitrd(textOf(args, 'image') ?? '');
    result = await unpackArchives(archives, directory);
  } finally {
    progress.clear();
  }
  if (args['json'] === true) await printJson({ directory, ...result });
  else for (const line of result.skipped) process.stderr.write(`virt-sandbox-bake: left out ${line}\n`);
  return 0;
}

export async function diff(args: BakeArguments): Promise<number> {
  const a = await readInitrd(textOf(args, 'a') ?? '');
  const b = await readInitrd(textOf(args, 'b') ?? '');
  const found = differences(a, b);
  if (args['json'] === true) {
    await printJson(found);
  } else {
    await printLines(
      found.flatMap(({ about, what, a, b }) => [
        `${about}: ${what}`,
        `  - ${a === undefined ? 'not there' : a || 'none'}`,
        `  + ${b === undefined ? 'not there' : b || 'none'}`,
      ]),
    );
  }
  return found.length > 0 ? FOUND : 0;
}

export async function verify(args: BakeArguments): Promise<number> {
  const named = wordsOf(args, 'image');
  const all = args['all'] === true;
  if (all === named.length > 0) throw usageError('verify takes images or --all');
  const results = [];
  const progress = progressLine('virt-sandbox-bake');
  try {
    for (const called of all ? imageIds(defaultStoreDirectory()) : named) {
      progress.show(`reading ${called}`);
      results.push({ image: called, damage: await verifyImage(imageRef(called)) });
    }
  } finally {
    progress.clear();
  }
  if (args['json'] === true) {
    await printJson(results.map((result) => ({ ...result, whole: result.damage.length === 0 })));
  } else {
    await printLines(
      results.flatMap(({ image, damage }) =>
        damage.length === 0 ? [`${image}: whole`] : damage.map(({ file, problem }) => `${image}: ${file}: ${problem}`),
      ),
    );
  }
  return results.some(({ damage }) => damage.length > 0) ? FOUND : 0;
}
