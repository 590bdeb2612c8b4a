/** xz and its predecessor lzma, through the package lzma-native. */

import type { UnpackedPart } from './types.js';

/** Bytes per call. LZMA packs up to 7000 times, so larger pieces could exceed the limit by far before it is checked. */
const PIECE = 8192;

export async function unpackXz(data: Buffer): Promise<Buffer> {
  const { default: lzma } = await import('lzma-native');
  return new Promise((resolve, reject) => {
    lzma.decompress(data, {}, (result, error) => {
      if (result === null || error) reject(error ?? new Error('the xz data are damaged'));
      else resolve(result);
    });
  });
}

export async function unpackXzPart(data: Buffer, limit: number): Promise<UnpackedPart> {
  return unpackPart(data, 'streamDecoder', limit);
}

export async function unpackLzmaPart(data: Buffer, limit: number): Promise<UnpackedPart> {
  return unpackPart(data, 'aloneDecoder', limit);
}

async function unpackPart(
  data: Buffer,
  decoder: 'streamDecoder' | 'aloneDecoder',
  limit: number,
): Promise<UnpackedPart> {
  const { default: lzma } = await import('lzma-native');
  const stream = new lzma.Stream();
  const parts: Buffer[] = [];
  let size = 0;
  let used: number | undefined;
  let failure: Error | undefined;
  stream.bufferHandler = (part, _processed, error, totalIn) => {
    if (error) failure ??= error;
    else if (part === null && totalIn !== null) used ??= totalIn;
    else if (part) {
      parts.push(part);
      size += part.length;
    }
  };
  stream[decoder]({});
  try {
    for (let at = 0; at < data.length && used === undefined; at += PIECE) {
      stream.code(data.subarray(at, at + PIECE), false);
      if (failure) throw failure;
      if (size > limit) throw new Error(`more than ${limit} bytes come out`);
    }
  } finally {
    stream.resetUnderlying();
  }
  if (used === undefined) throw new Error('the data are cut off');
  return { data: Buffer.concat(parts, size), used };
}

/** CRC32 is the only check that the kernel's decoder knows. */
export async function packXz(data: Buffer): Promise<Buffer> {
  const { default: lzma } = await import('lzma-native');
  return new Promise((resolve, reject) => {
    lzma.compress(data, { preset: 6, check: lzma.CHECK_CRC32 }, (result, error) => {
      if (result === null || error) reject(error ?? new Error('xz could not pack the initrd'));
      else resolve(result);
    });
  });
}
