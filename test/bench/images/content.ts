/**
 * An image to pull, the same every time: 100,000 files of 500 MB, in four layers that are made while they are read.
 * Sizes are spread as in a distribution: half of the files are smaller than 1.7 KB, and the largest have megabytes.
 */
import { BLOCK, tarHeader, tarOf } from '../../helpers/oci/tar.js';

/** What the image has when its layers are merged. */
export const FILES = 100_000;
export const BYTES = 500_000_000;

/** Files of each layer. Each above the first replaces some of the layer below, and removes as many. */
const LAYERS = [52_000, 30_000, 16_000, 8_000];
const REPLACED = 1_000;
const FILES_OF_DIRECTORY = 40;

/** Bytes of text that contents are cut from. It is longer than the window of gzip. */
const POOL = 4 << 20;
const LARGEST = 8_000_000;

interface BenchFile {
  readonly path: string;
  readonly size: number;
}

/** mulberry32: the same numbers everywhere. @returns a number from 0 to 1 at each call */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Words with one number here and there, which gzip packs to about a third, as it does programs and texts. */
function poolOfText(): Buffer {
  const random = randomNumbers(1);
  const words = Array.from({ length: 4000 }, () =>
    Array.from({ length: 3 + Math.floor(random() * 8) }, () => String.fromCharCode(97 + random() * 26)).join(''),
  );
  const pool = Buffer.alloc(POOL);
  for (let at = 0; at < POOL; ) {
    const word = random() < 0.1 ? `${Math.floor(random() * 1e6)}` : words[Math.floor(random() ** 2 * words.length)];
    at += pool.write(`${word} `, at, 'latin1');
  }
  return pool;
}

function pathOf(layer: number, at: number, before = ''): string {
  const directory = Math.floor(at / FILES_OF_DIRECTORY);
  return `usr/share/part${layer}/d${Math.floor(directory / 50)}/e${directory}/${before}file-${at}.txt`;
}

/**
 * The files of each layer. Those of layers below the last begin with some that the next layer replaces, and as many that
 * it removes. All others have {@link BYTES}.
 */
export function filesOfLayers(): readonly (readonly BenchFile[])[] {
  const random = randomNumbers(2);
  // A log-normal spread, by a sum of uniform numbers.
  const sizes = LAYERS.map((count) =>
    Array.from({ length: count }, () => {
      const normal = Array.from({ length: 12 }, random).reduce((sum, one) => sum + one, -6);
      return Math.min(LARGEST, 1700 * Math.exp(1.5 * normal));
    }),
  );
  const isLost = (layer: number, at: number) => layer < LAYERS.length - 1 && at < 2 * REPLACED;
  const left = sizes.map((list, layer) => list.filter((_, at) => !isLost(layer, at)));
  const scale = BYTES / left.flat().reduce((sum, one) => sum + one, 0);
  let owed = BYTES;
  return sizes.map((list, layer) =>
    list.map((one, at) => {
      const isLast = layer === LAYERS.length - 1 && at === list.length - 1;
      const size = isLast ? owed : Math.floor(one * scale);
      if (!isLost(layer, at)) owed -= size;
      const replaces = at - (list.length - REPLACED);
      return { path: layer > 0 && replaces >= 0 ? pathOf(layer - 1, replaces) : pathOf(layer, at), size };
    }),
  );
}

/** The archive of each layer, from the lowest on, in pieces. */
export function benchLayers(): readonly Iterable<Buffer>[] {
  const pool = poolOfText();
  return filesOfLayers().map((files, layer) => archive(files, layer, pool));
}

function* archive(files: readonly BenchFile[], layer: number, pool: Buffer): Generator<Buffer> {
  const random = randomNumbers(100 + layer);
  const made = new Set<string>();
  const header = (name: string, type: '0' | '5', size: number) =>
    tarHeader({ name, type, mtime: 1_700_000_000 + layer }, size);
  for (const { path, size } of files) {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth += 1) {
      const directory = parts.slice(0, depth).join('/');
      if (!made.has(directory)) yield header(`${directory}/`, '5', 0);
      made.add(directory);
    }
    yield header(path, '0', size);
    for (let left = size; left > 0; ) {
      const start = Math.floor(random() * pool.length);
      const piece = pool.subarray(start, start + left);
      left -= piece.length;
      yield piece;
    }
    yield Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
  }
  if (layer > 0)
    for (let at = REPLACED; at < 2 * REPLACED; at += 1) yield header(pathOf(layer - 1, at, '.wh.'), '0', 0);
  yield tarOf();
}
