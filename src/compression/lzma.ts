/** xz and its predecessor lzma, through the package lzma-native. */

import { Output } from './output.js';
import type { UnpackedPart } from './types.js';

/** Bytes per call. LZMA packs up to 7000 times, so larger pieces could exceed the limit by far before it is checked. */
const PIECE = 8192;

/** Unpacks on a worker thread, in pieces, so that the limit is noticed soon. */
export async function unpackXz(data: Buffer, limit: number): Promise<Buffer> {
  const { default: lzma } = await import('lzma-native');
  const output = new Output(limit);
  const stream = lzma.createDecompressor();
  try {
    await new Promise<void>((resolve, reject) => {
      stream.on('data', (part: Buffer) => {
        try {
          output.append(part);
        } catch (error) {
          reject(error);
        }
      });
      stream.once('end', resolve);
      stream.once('error', reject);
      const write = (at: number): void => {
        if (at >= data.length) stream.end();
        else if (!stream.destroyed) stream.write(data.subarray(at, at + PIECE), () => write(at + PIECE));
      };
      write(0);
    });
  } finally {
    stream.destroy();
  }
  return output.bytes;
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
  const output = new Output(limit);
  let used: number | undefined;
  let failure: unknown;
  stream.bufferHandler = (part, _processed, error, totalIn) => {
    if (error) failure ??= error;
    else if (part === null && totalIn !== null) used ??= totalIn;
    else if (part) {
      try {
        output.append(part);
      } catch (tooMuch) {
        failure ??= tooMuch;
      }
    }
  };
  stream[decoder]({});
  try {
    for (let at = 0; at < data.length && used === undefined; at += PIECE) {
      stream.code(data.subarray(at, at + PIECE), false);
      if (failure !== undefined) throw failure;
    }
  } finally {
    stream.resetUnderlying();
  }
  if (used === undefined) throw new Error('the data are cut off');
  return { data: output.bytes, used };
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
