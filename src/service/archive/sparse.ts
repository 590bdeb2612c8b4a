/**
 * Files with holes in the form "sparse format 1.0" of GNU tar's manual: the content begins with a map of the parts that
 * are no holes, as lines of decimal numbers in whole blocks, and these parts follow.
 */
import { BLOCK } from '../../oci/tar/header.js';
import { TarError } from '../../oci/tar/pieces.js';

/** Bytes of a map: some million parts. */
const MOST_BYTES = 32 << 20;
/** Characters of a line. */
const MOST_DIGITS = 15;

export interface SparseMap {
  /** Bytes of the file, with its holes. */
  readonly realSize: number;
  /** Where each part that is no hole begins, and its length, in turns. */
  readonly parts: readonly number[];
}

/**
 * Reads the map in front of a content, and what it says has to fit the member.
 * @param block reads the next block
 * @param size bytes of the member with the map
 * @returns the map, and the bytes behind it
 * @throws {TarError}
 */
export async function readSparseMap(
  block: () => Promise<Buffer>,
  size: number,
  realSize: number,
): Promise<{ map: SparseMap; left: number }> {
  const numbers: number[] = [];
  let [bytes, expected, rest] = [0, Number.POSITIVE_INFINITY, ''];
  while (numbers.length < expected) {
    bytes += BLOCK;
    if (bytes > Math.min(size, MOST_BYTES) || rest.length > MOST_DIGITS) throw wrong();
    const lines = (rest + (await block()).toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) numbers.push(whole(line));
    const [count] = numbers;
    if (count !== undefined) expected = 1 + 2 * count;
  }
  if (numbers.length !== expected || expected < 3 || !/^\0*$/.test(rest)) throw wrong();
  const parts = numbers.slice(1);
  if (bytes + lengthOf(parts, realSize) !== size) throw wrong();
  return { map: { realSize, parts }, left: size - bytes };
}

/** The map as it stands in front of a content. */
export function formatSparseMap({ parts }: SparseMap): Buffer {
  const text = Buffer.from(`${[parts.length / 2, ...parts].join('\n')}\n`, 'latin1');
  return Buffer.concat([text, Buffer.alloc((BLOCK - (text.length % BLOCK)) % BLOCK)]);
}

/** Of all parts. Each begins in a block of its own, so that only the last one may end within one. */
function lengthOf(parts: readonly number[], realSize: number): number {
  let [end, sum] = [0, 0];
  for (let at = 0; at < parts.length; at += 2) {
    const [offset = 0, length = 0] = [parts[at], parts[at + 1]];
    const isLast = at + 2 === parts.length;
    if (offset < end || (length === 0 && !isLast) || (length > 0 && sum % BLOCK !== 0)) throw wrong();
    end = offset + length;
    sum += length;
  }
  if (end !== realSize) throw wrong();
  return sum;
}

function whole(line: string): number {
  if (!/^(?:0|[1-9]\d{0,14})$/.test(line)) throw wrong();
  return Number(line);
}

function wrong(): TarError {
  return new TarError('has a file whose holes are not described as tar does it');
}
