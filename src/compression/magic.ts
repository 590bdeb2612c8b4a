/**
 * The first bytes of each compressed format. Sources: the formats' specifications, and lib/decompress.c of the kernel.
 */

export const MAGIC = {
  gzip: [0x1f, 0x8b],
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
  /** The properties byte that xz and lzma write by default, and the low bytes of the dictionary size. */
  lzma: [0x5d, 0x00, 0x00],
  /** "BZh" */
  bzip2: [0x42, 0x5a, 0x68],
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  /** The legacy frame, the only one that the kernel reads. */
  lz4: [0x02, 0x21, 0x4c, 0x18],
  /** Of lzop. The kernel compares two of these bytes; the others show that a file was mangled as text. */
  lzo: [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a],
} as const satisfies Readonly<Record<string, readonly number[]>>;

/** True when the bytes of `magic` are at byte `at` of `data`. */
export function hasMagic(data: Buffer, at: number, magic: readonly number[]): boolean {
  return magic.every((byte, i) => data[at + i] === byte);
}
