/**
 * The size that a card says its screen wants, which is what a viewer asked for last. The card says it as a screen would
 * (EDID, and DisplayID for sizes that EDID has no bits for), and a guest whose root is hostile says anything.
 *
 */
import { SIDE_RANGE } from '../../config/parsers/graphics.js';
import type { ScreenSize } from '../../config/types.js';

const BLOCK_BYTES = 128;
/** Of the first block: the timing that is wanted most. */
const FIRST_TIMING = 54;
const DISPLAY_ID = 0x70;
const DETAILED_TIMINGS = 3;

/** @returns undefined: it says none, or one that no screen here has */
export function wantedSize(edid: Buffer): ScreenSize | undefined {
  return [inFirstBlock, inDisplayId].map((read) => read(edid)).find((size) => size !== undefined && isPossible(size));
}

/** Whether a screen may have that size. */
export function isPossible({ width, height }: ScreenSize): boolean {
  const [least, most] = SIDE_RANGE;
  return [width, height].every((side) => Number.isInteger(side) && side >= least && side <= most);
}

function inFirstBlock(edid: Buffer): ScreenSize | undefined {
  if (edid.length < BLOCK_BYTES || edid.readUInt16LE(FIRST_TIMING) === 0) return undefined;
  const at = (offset: number) => edid.readUInt8(FIRST_TIMING + offset);
  // Eight bits, and four more of a byte that has others too.
  return { width: at(2) | ((at(4) & 0xf0) << 4), height: at(5) | ((at(7) & 0xf0) << 4) };
}

function inDisplayId(edid: Buffer): ScreenSize | undefined {
  for (let block = BLOCK_BYTES; block + BLOCK_BYTES <= edid.length; block += BLOCK_BYTES) {
    if (edid.readUInt8(block) !== DISPLAY_ID) continue;
    // Behind the tag are four bytes of the section; then sections of data, each with a tag, a revision and a length.
    const end = Math.min(block + 5 + edid.readUInt8(block + 2), block + BLOCK_BYTES - 1);
    for (let at = block + 5; at + 3 + 20 <= end; at += 3 + edid.readUInt8(at + 2)) {
      if (edid.readUInt8(at) !== DETAILED_TIMINGS || edid.readUInt8(at + 2) < 20) continue;
      return { width: edid.readUInt16LE(at + 3 + 4) + 1, height: edid.readUInt16LE(at + 3 + 12) + 1 };
    }
  }
  return undefined;
}
