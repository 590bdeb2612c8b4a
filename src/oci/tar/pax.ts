/** PAX headers: records of names and values that say what a tar header has no room for. POSIX pax(1). */
import { TarError } from './pieces.js';

const XATTR = 'SCHILY.xattr.';

/** What is understood of the records of one entry. */
export interface PaxFields {
  path?: string;
  link?: string;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  /** Values by name. Both are bytes as characters of latin1. */
  xattrs?: Map<string, string>;
}

/**
 * Reads the records `LENGTH NAME=VALUE\n`. Values may have any bytes: `security.capability` does.
 * @throws {TarError} a record is malformed; the entry is a sparse file
 */
export function parsePax(data: Buffer): PaxFields {
  const fields: PaxFields = {};
  for (let at = 0; at < data.length; ) {
    const blank = data.indexOf(0x20, at);
    const digits = blank < 0 ? '' : data.toString('latin1', at, Math.min(blank, at + 12));
    const end = at + Number(digits);
    const equals = data.indexOf(0x3d, blank);
    if (!/^[1-9]\d*$/.test(digits) || end > data.length || equals < 0 || equals >= end || data[end - 1] !== 0x0a)
      throw new TarError('has a PAX record that is malformed');
    takeRecord(fields, data.toString('latin1', blank + 1, equals), data.toString('latin1', equals + 1, end - 1));
    at = end;
  }
  return fields;
}

function takeRecord(fields: PaxFields, name: string, value: string): void {
  if (name === 'path') fields.path = value;
  else if (name === 'linkpath') fields.link = value;
  else if (name === 'size' || name === 'uid' || name === 'gid') fields[name] = whole(value);
  else if (name === 'mtime') fields.mtime = seconds(value);
  else if (name.startsWith(XATTR)) {
    fields.xattrs ??= new Map();
    fields.xattrs.set(name.slice(XATTR.length), value);
  } else if (name.startsWith('GNU.sparse.')) throw sparse();
}

/** Image builders write no such files, and what one unpacks to has nothing to do with its size here. */
export function sparse(): TarError {
  return new TarError('has a file with holes in the form of GNU tar, which images have not');
}

function whole(value: string): number {
  const number = Number(value);
  if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(number)) throw new TarError('has a number that is none');
  return number;
}

/** Fractions are left out. */
function seconds(value: string): number {
  const [, digits] = /^(-?\d{1,15})(?:\.\d*)?$/.exec(value) ?? [];
  if (digits === undefined) throw new TarError('has a time that is none');
  return Number(digits);
}
