/** virt-sandbox-image diff: what an image's top layer changes, or where the file systems of two images differ. */
import { isUtf8 } from 'node:buffer';
import { imageDifferences, topChanges } from '../../oci/inspect/differences.js';
import { findImage } from '../../oci/inspect/find-image.js';
import type { Difference, DifferenceKind } from '../../oci/layers/compare-names.js';
import { StorePaths } from '../../oci/store/store-paths.js';
import { oneLine } from '../../util/errors.js';
import { jsonOfLists, printPieces } from '../output.js';
import { progressLine } from '../terminal/progress-line.js';
import { untilSignal } from '../until-signal.js';
import { type ImageArguments, isSet, PROGRAM, platformName } from './arguments.js';

/** Exit status when there is a difference. */
const FOUND = 1;

const KINDS: readonly (readonly [key: string, kind: DifferenceKind])[] = [
  ['added', 'A'],
  ['changed', 'C'],
  ['deleted', 'D'],
];

export async function diff(args: ImageArguments): Promise<number> {
  const paths = new StorePaths();
  const [image, other] = args.words.map((word) => findImage(paths, word, platformName(args)));
  if (image === undefined) throw new Error('the parser requires an image');
  return untilSignal(
    async (signal) => {
      const progress = progressLine(PROGRAM);
      progress.show(other === undefined ? 'reading the layers' : 'reading the file systems');
      const differences =
        other === undefined ? topChanges(paths, image, signal) : imageDifferences(paths, image, other, signal);
      return differences.finally(progress.clear);
    },
    async (found) => {
      await printPieces(isSet(args, 'json') ? json(found) : lines(found));
      return other !== undefined && found.length > 0 ? FOUND : 0;
    },
  );
}

function* lines(found: readonly Difference[]): Generator<string> {
  for (const { kind, path } of found) yield `${kind} ${oneLine(textOf(path))}\n`;
}

function json(found: readonly Difference[]): Iterable<string> {
  return jsonOfLists(Object.fromEntries(KINDS.map(([key, kind]) => [key, pathsOf(found, kind)])));
}

function* pathsOf(found: readonly Difference[], kind: DifferenceKind): Generator<string> {
  for (const one of found) if (one.kind === kind) yield textOf(one.path);
}

/** Paths are bytes as characters of latin1. Two that are no UTF-8 would look the same without their bytes. */
export function textOf(path: string): string {
  const bytes = Buffer.from(path, 'latin1');
  if (isUtf8(bytes)) return bytes.toString('utf8');
  return path.replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`);
}
