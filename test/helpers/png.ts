/** Screenshots of a browser. */
import { inflateSync } from 'node:zlib';

/** The number of pixels of each colour, by `#rrggbb`. */
export function coloursOf(png: Buffer): Map<string, number> {
  const width = png.readUInt32BE(16);
  const height = png.readUInt32BE(20);
  const [depth, type] = [png[24], png[25]];
  // 2: RGB; 6: RGBA.
  if (depth !== 8 || (type !== 2 && type !== 6))
    throw new Error(`this kind of PNG is not read: ${depth} bits, type ${type}`);
  const bytes = type === 2 ? 3 : 4;
  const lines = inflateSync(Buffer.concat(chunksOf(png)));
  const counts = new Map<string, number>();
  let above: Buffer = Buffer.alloc(width * bytes);
  for (let line = 0; line < height; line += 1) {
    const at = line * (width * bytes + 1);
    const row = lines.subarray(at + 1, at + 1 + width * bytes);
    undoFilter(lines[at] ?? 0, row, above, bytes);
    for (let dot = 0; dot < row.length; dot += bytes) {
      const colour = `#${row.toString('hex', dot, dot + 3)}`;
      counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
    above = row;
  }
  return counts;
}

function chunksOf(png: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') chunks.push(png.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  return chunks;
}

/** https://www.w3.org/TR/png-3/#9Filters */
function undoFilter(filter: number, row: Buffer, above: Buffer, bytes: number): void {
  for (let at = 0; at < row.length; at += 1) {
    const left = at < bytes ? 0 : (row[at - bytes] ?? 0);
    const up = above[at] ?? 0;
    const corner = at < bytes ? 0 : (above[at - bytes] ?? 0);
    const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] ?? 0;
    row[at] = ((row[at] ?? 0) + guess) & 0xff;
  }
}

function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const far = (value: number) => Math.abs(estimate - value);
  if (far(left) <= far(up) && far(left) <= far(corner)) return left;
  return far(up) <= far(corner) ? up : corner;
}
