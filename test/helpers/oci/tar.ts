/** Tar archives with any header, right or wrong. */

export interface TarEntry {
  readonly name: string | Buffer;
  /** The type flag: `0` file, `1` hard link, `2` symbolic link, `3` `4` device, `5` directory, `6` FIFO. */
  readonly type?: string;
  readonly data?: Buffer | string;
  readonly link?: string | Buffer;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly major?: number;
  readonly minor?: number;
  /** Records of a PAX header before the entry. */
  readonly pax?: Readonly<Record<string, string | Buffer>>;
  /** What the header says, if it is not the length of the data. */
  readonly size?: number;
}

export const BLOCK = 512;

export function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK)]);
}

function octal(value: number, length: number): Buffer {
  const text = value.toString(8);
  if (text.length < length) return Buffer.from(`${text.padStart(length - 1, '0')}\0`);
  // Base-256, as GNU tar writes large numbers.
  const bytes = Buffer.alloc(length);
  let rest = BigInt(value);
  for (let at = length - 1; at > 0; at -= 1, rest >>= 8n) bytes[at] = Number(rest & 0xffn);
  bytes[0] = 0x80;
  return bytes;
}

/** One header of 512 bytes. Names that are too long are cut off. */
export function tarHeader(entry: TarEntry, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  Buffer.from(entry.name).copy(block, 0, 0, 100);
  octal(entry.mode ?? (entry.type === '5' ? 0o755 : 0o644), 8).copy(block, 100);
  octal(entry.uid ?? 0, 8).copy(block, 108);
  octal(entry.gid ?? 0, 8).copy(block, 116);
  octal(size, 12).copy(block, 124);
  octal(entry.mtime ?? 0, 12).copy(block, 136);
  block.write(entry.type ?? '0', 156, 'latin1');
  Buffer.from(entry.link ?? '').copy(block, 157, 0, 100);
  block.write('ustar\x0000', 257, 'latin1');
  octal(entry.major ?? 0, 8).copy(block, 329);
  octal(entry.minor ?? 0, 8).copy(block, 337);
  return withChecksum(block);
}

/** The header with the sum that it must have. */
export function withChecksum(block: Buffer): Buffer {
  block.fill(' ', 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** One record of a PAX header, POSIX pax(1): its length counts its own digits. */
export function paxRecord(name: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${name}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** The blocks of an entry; a name or link of more than 100 bytes gets a PAX header. */
export function tarEntry(entry: TarEntry): Buffer {
  const data = Buffer.from(entry.data ?? '');
  const records = Object.entries(entry.pax ?? {}).map(([name, value]) => paxRecord(name, value));
  if (Buffer.from(entry.name).length > 100) records.push(paxRecord('path', entry.name));
  if (Buffer.from(entry.link ?? '').length > 100) records.push(paxRecord('linkpath', entry.link ?? ''));
  const pax = Buffer.concat(records);
  const before = pax.length === 0 ? [] : [tarHeader({ name: 'pax', type: 'x' }, pax.length), padded(pax)];
  return Buffer.concat([...before, tarHeader(entry, entry.size ?? data.length), padded(data)]);
}

/** A whole archive. */
export function tarOf(...entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.map(tarEntry), Buffer.alloc(2 * BLOCK)]);
}
