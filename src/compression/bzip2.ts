/** bzip2, through the system's libbz2. */

import { loadLibrary } from './library.js';
import type { UnpackedPart } from './types.js';

/** Results of BZ2_bzBuffToBuffDecompress, from bzlib.h. */
const BZ_OK = 0;
const BZ_OUTBUFF_FULL = -8;

/** libbz2's simple call does not say where the data end, so the rest of `data` all counts as used. */
export async function unpackBzip2Part(data: Buffer, limit: number): Promise<UnpackedPart> {
  const library = await loadLibrary('libbz2.so.1.0', {
    code: 'decompressor-missing',
    purpose: 'unpack bzip2',
    remedy: 'install it (Debian: libbz2-1.0, Fedora: bzip2-libs)',
  });
  const decompress = library.func(
    'int BZ2_bzBuffToBuffDecompress(void *dest, _Inout_ unsigned int *destLen, const void *source, unsigned int sourceLen, int small, int verbosity)',
  );
  for (let capacity = Math.min(limit, data.length * 8 + 65_536); ; capacity = Math.min(limit, capacity * 4)) {
    const target = Buffer.allocUnsafeSlow(capacity);
    const length = [capacity];
    const result = Number(decompress(target, length, data, data.length, 0, 0));
    if (result === BZ_OK) return { data: target.subarray(0, length[0]), used: data.length };
    if (result !== BZ_OUTBUFF_FULL || capacity >= limit) throw new Error(`libbz2 answers ${result}`);
  }
}
