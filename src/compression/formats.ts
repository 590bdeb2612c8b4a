/**
 * The one table of compressed formats: how each is recognized, unpacked and packed. Kernels, modules and initrds all
 * use it.
 *
 * Each codec is imported on first use: finding an image in the store loads none.
 */

import { hasMagic, MAGIC } from './magic.js';
import { type Format, UNPACKED_LIMIT, type UnpackedPart } from './types.js';

export const FORMATS = {
  gzip: {
    magic: MAGIC.gzip,
    ending: '.gz',
    initrdOption: 'CONFIG_RD_GZIP',
    unpack: async (data, size, limit) => (await import('./gzip.js')).unpackGzip(data, size ?? limit),
    unpackPart: async (data, limit) => (await import('./gzip.js')).unpackGzipPart(data, limit),
    pack: async (data) => (await import('./gzip.js')).packGzip(data),
  },
  xz: {
    magic: MAGIC.xz,
    ending: '.xz',
    initrdOption: 'CONFIG_RD_XZ',
    unpack: async (data, size, limit) => (await import('./lzma.js')).unpackXz(data, size ?? limit),
    unpackPart: async (data, limit) => (await import('./lzma.js')).unpackXzPart(data, limit),
    pack: async (data) => (await import('./lzma.js')).packXz(data),
  },
  zstd: {
    magic: MAGIC.zstd,
    ending: '.zst',
    initrdOption: 'CONFIG_RD_ZSTD',
    unpack: async (data, size, limit) => (await import('./zstd.js')).unpackZstd(data, size, limit),
    unpackPart: async (data, limit) => (await import('./zstd.js')).unpackZstdPart(data, limit),
    pack: async (data) => (await import('./zstd.js')).packZstd(data),
  },
  lz4: {
    magic: MAGIC.lz4,
    ending: '.lz4',
    initrdOption: 'CONFIG_RD_LZ4',
    unpack: async (data, size) => (await import('./lz4.js')).unpackLz4(data, size),
    unpackPart: async (data, limit) => (await import('./lz4.js')).unpackLz4Part(data, limit),
    pack: async (data) => (await import('./lz4.js')).packLz4(data),
  },
  lzo: {
    magic: MAGIC.lzo,
    ending: '.lzo',
    initrdOption: 'CONFIG_RD_LZO',
    unpack: async (data, size, limit) => (await import('./lzop.js')).unpackLzop(data, size ?? limit),
    unpackPart: async (data, limit) => (await import('./lzop.js')).unpackLzopPart(data, limit),
  },
  lzma: {
    magic: MAGIC.lzma,
    ending: '.lzma',
    initrdOption: 'CONFIG_RD_LZMA',
    unpackPart: async (data, limit) => (await import('./lzma.js')).unpackLzmaPart(data, limit),
  },
  bzip2: {
    magic: MAGIC.bzip2,
    ending: '.bz2',
    initrdOption: 'CONFIG_RD_BZIP2',
    unpackPart: async (data, limit) => (await import('./bzip2.js')).unpackBzip2Part(data, limit),
  },
} as const satisfies Readonly<Record<string, Format>>;

export type FormatName = keyof typeof FORMATS;

/** Names of the formats that have the function `K`. */
type With<K extends 'unpack' | 'pack'> = {
  [Name in FormatName]: K extends keyof (typeof FORMATS)[Name] ? Name : never;
}[FormatName];

/** A format in which kernels and modules come. */
export type FileFormat = With<'unpack'>;
/** A format that this program can pack an initrd in. */
export type PackFormat = With<'pack'>;

const NAMES = Object.keys(FORMATS) as FormatName[];

/** All formats that this program can pack an initrd in. */
export const PACK_FORMATS: readonly PackFormat[] = NAMES.filter((name): name is PackFormat => 'pack' in FORMATS[name]);

/** The format of what is at byte `at` of `data`; undefined if none is recognized. */
export function formatAt(data: Buffer, at: number): FormatName | undefined {
  return NAMES.find((name) => hasMagic(data, at, FORMATS[name].magic));
}

/** The format of a packed kernel or module; undefined if it is none that this program unpacks whole. */
export function fileFormatOf(data: Buffer): FileFormat | undefined {
  const name = formatAt(data, 0);
  return name !== undefined && 'unpack' in FORMATS[name] ? (name as FileFormat) : undefined;
}

/** Unpacks a whole file: {@link Format.unpack}. */
export function unpack(data: Buffer, format: FileFormat, size?: number, limit = UNPACKED_LIMIT): Promise<Buffer> {
  const { unpack }: Required<Pick<Format, 'unpack'>> = FORMATS[format];
  return unpack(data, size, limit);
}

/** Unpacks the part that `data` begins with: {@link Format.unpackPart}. */
export function unpackPart(data: Buffer, format: FormatName, limit = UNPACKED_LIMIT): Promise<UnpackedPart> {
  return FORMATS[format].unpackPart(data, limit);
}

/** Packs an initrd: {@link Format.pack}. */
export function pack(data: Buffer, format: PackFormat): Promise<Buffer> {
  return FORMATS[format].pack(data);
}
