/** Files in lzop's format: packed by lzop, and made by hand with headers and blocks that lzop does not write. */
import { execFileSync, spawnSync } from 'node:child_process';
import { crc32, deflateSync } from 'node:zlib';
import { unlessInitrdPacker } from './archives.js';

export const unlessLzop = unlessInitrdPacker('lzo');

/** `data` packed by lzop from a pipe, so that the header has no file name. */
export function lzop(data: Buffer, ...options: readonly string[]): Buffer {
  return execFileSync('lzop', [...options, '-c'], { input: data, maxBuffer: 1 << 30 });
}

/** True if lzop itself accepts the file. */
export function lzopTakes(file: Buffer): boolean {
  return spawnSync('lzop', ['-t'], { input: file, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0;
}

/** Bytes of the header of a file that lzop packed from a pipe, without a filter. */
export const HEADER_SIZE = 38;

export const number = (value: number, size = 4): Buffer => {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntBE(value, 0, size);
  return bytes;
};

/** Adler-32, big-endian: zlib appends it to what it packs. */
export const adler = (data: Buffer): Buffer => deflateSync(data, { level: 0 }).subarray(-4);
export const crc = (data: Buffer): Buffer => number(crc32(data));

/** The packed bytes of `data`, which must be one block and get smaller. */
export function packedBlock(data: Buffer, ...options: readonly string[]): Buffer {
  const file = lzop(data, '-F', ...options);
  const checked = (file.readUInt32BE(17) & 1) === 1;
  return file.subarray(HEADER_SIZE + (checked ? 12 : 8), -4);
}

export interface MadeHeader {
  readonly version?: number;
  readonly method?: number;
  readonly flags?: number;
  readonly name?: string;
  /** Bytes after the header's checksum. */
  readonly extra?: Buffer;
}

/** Magic number and header, with the checksum that its flags ask for. */
export function makeHeader(made: MadeHeader = {}): Buffer {
  const { version = 0x1040, method = 1, flags = 0, name = '', extra = Buffer.alloc(0) } = made;
  const fields = Buffer.concat([
    ...[number(version, 2), number(0x20a0, 2), number(0x940, 2), number(method, 1), number(5, 1), number(flags)],
    // Mode, and time in two halves.
    ...[number(0o100644), number(0), number(0), number(name.length, 1), Buffer.from(name)],
  ]);
  const check = flags & 0x1000 ? crc(fields) : adler(fields);
  return Buffer.concat([Buffer.from('\x89LZO\0\r\n\x1a\n', 'latin1'), fields, check, extra]);
}

/** A block: its two sizes, the checksums, the bytes. */
export function makeBlock(size: number, packed: Buffer, ...checksums: readonly Buffer[]): Buffer {
  return Buffer.concat([number(size), number(packed.length), ...checksums, packed]);
}

/** The end of a file. */
export const END = number(0);
