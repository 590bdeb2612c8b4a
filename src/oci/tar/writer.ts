/** Writes the headers of a tar archive, always in the same way: ustar, and PAX for what that has no room for. */
import { BLOCK } from './header.js';
import type { TarEntry, TarType } from './reader.js';

/** What a header says. Names are bytes as characters of latin1. */
export type HeaderFields = Pick<
  TarEntry,
  'name' | 'type' | 'link' | 'mode' | 'uid' | 'gid' | 'mtime' | 'size' | 'major' | 'minor'
> & { readonly xattrs: ReadonlyMap<string, string> | undefined };

const FLAGS: Readonly<Record<TarType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

const MOST_NAME = 100;
/** The largest numbers of fields with 7 and 11 octal digits. */
const MOST_ID = 0o7777777;
const MOST_LONG = 0o77777777777;

/** The end of an archive. */
export const END = Buffer.alloc(2 * BLOCK);

/** Zeros from the end of so many bytes of content to the next header. */
export function paddingBehind(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/**
 * The blocks of a header. Times before 1970 become 1970.
 * @throws {RangeError} a mode, or a number of a device, does not fit
 */
export function headerBlocks(fields: HeaderFields): Buffer {
  const { name, link, size, uid, gid, mtime, xattrs } = fields;
  const records: string[] = [];
  if (name.length > MOST_NAME) records.push(record('path', name));
  if (link.length > MOST_NAME) records.push(record('linkpath', link));
  if (size > MOST_LONG) records.push(record('size', `${size}`));
  if (uid > MOST_ID) records.push(record('uid', `${uid}`));
  if (gid > MOST_ID) records.push(record('gid', `${gid}`));
  if (mtime > MOST_LONG) records.push(record('mtime', `${mtime}`));
  for (const key of [...(xattrs?.keys() ?? [])].sort())
    records.push(record(`SCHILY.xattr.${key}`, xattrs?.get(key) ?? ''));
  if (records.length === 0) return block(fields, FLAGS[fields.type]);
  const data = Buffer.from(records.join(''), 'latin1');
  return Buffer.concat([
    block({ ...fields, name: 'PaxHeader', link: '', size: data.length, major: 0, minor: 0 }, 'x'),
    data,
    Buffer.alloc(paddingBehind(data.length)),
    block(fields, FLAGS[fields.type]),
  ]);
}

/** `LENGTH NAME=VALUE\n`, in which the length counts its own digits. */
function record(name: string, value: string): string {
  const rest = ` ${name}=${value}\n`;
  let length = rest.length + 1;
  while (`${length}`.length + rest.length !== length) length = `${length}`.length + rest.length;
  return `${length}${rest}`;
}

function block({ name, link, mode, uid, gid, size, mtime, major, minor }: HeaderFields, flag: string): Buffer {
  const data = Buffer.alloc(BLOCK);
  data.write(name.slice(0, MOST_NAME), 0, 'latin1');
  octal(data, 100, 7, mode);
  octal(data, 108, 7, Math.min(uid, MOST_ID));
  octal(data, 116, 7, Math.min(gid, MOST_ID));
  octal(data, 124, 11, Math.min(size, MOST_LONG));
  octal(data, 136, 11, Math.min(Math.max(mtime, 0), MOST_LONG));
  data.write(flag, 156, 'latin1');
  data.write(link.slice(0, MOST_NAME), 157, 'latin1');
  data.write('ustar\x0000', 257, 'latin1');
  octal(data, 329, 7, major);
  octal(data, 337, 7, minor);
  data.fill(' ', 148, 156);
  let sum = 0;
  // A loop over the iterator would take several times as long.
  for (let at = 0; at < BLOCK; at += 1) sum += data[at] ?? 0;
  octal(data, 148, 6, sum);
  data[154] = 0;
  return data;
}

/** @throws {RangeError} the number does not fit: it would be written over the next fields */
function octal(data: Buffer, at: number, digits: number, value: number): void {
  const text = value.toString(8).padStart(digits, '0');
  if (value < 0 || text.length > digits) throw new RangeError(`${value} does not fit into a tar header`);
  data.write(text, at, 'latin1');
}
