/**
 * The headers of PAX in an archive of a service: what GNU tar writes for a state, and nothing else. What is understood
 * is written anew for tar(1), which unpacks it.
 */

/** What they say of the member that follows. Names and values are bytes as characters of latin1. */
export interface PaxFields {
  readonly path?: string;
  readonly link?: string;
  readonly size?: number;
  /** Of a file with holes: its size with these. */
  readonly realSize?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since the epoch, with a fraction. */
  readonly mtime?: string;
  /** Extended attributes by name. GNU tar writes `=` and `%` in a name as `%3D` and `%25`. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Texts by `access` and `default`. */
  readonly accessLists: ReadonlyMap<string, string>;
}

export const ATTRIBUTE = 'SCHILY.xattr.';
export const ACCESS_LIST = 'SCHILY.acl.';

const NUMBER = /^(?:0|[1-9]\d{0,15})$/;
const TIME = /^-?\d{1,18}(?:\.\d{1,9})?$/;
const SPARSE = 'GNU.sparse.';
/** Where GNU tar has the content of a file with holes, for programs that do not know these. */
const SPARSE_PATH = /(?:^|\/)GNUSparseFile\.\d+\/[^/]+$/;

/** @returns what is wrong, as a sentence that follows the name of the archive, or what the records say */
export function parsePax(data: Buffer): PaxFields | string {
  const records = new Map<string, string>();
  const attributes = new Map<string, string>();
  const accessLists = new Map<string, string>();
  for (let at = 0; at < data.length; ) {
    const blank = data.indexOf(0x20, at);
    const digits = blank < 0 ? '' : data.toString('latin1', at, Math.min(blank, at + 12));
    const end = at + Number(digits);
    const equals = data.indexOf(0x3d, blank);
    if (!/^[1-9]\d*$/.test(digits) || end > data.length || equals < 0 || equals >= end || data[end - 1] !== 0x0a)
      return 'has a PAX record that is malformed';
    const [name, value] = [data.toString('latin1', blank + 1, equals), data.toString('latin1', equals + 1, end - 1)];
    const to = name.startsWith(ATTRIBUTE) ? attributes : name.startsWith(ACCESS_LIST) ? accessLists : records;
    const key = to === attributes ? name.slice(ATTRIBUTE.length) : name.slice(to === records ? 0 : ACCESS_LIST.length);
    if (to.has(key)) return `says twice what ${JSON.stringify(name)} is`;
    if (!isKnown(name, value)) return `has a PAX record ${JSON.stringify(name)} that tar does not write so`;
    to.set(key, value);
    at = end;
  }
  const fields = fieldsOf(records);
  return typeof fields === 'string' ? fields : { ...fields, attributes, accessLists };
}

function isKnown(name: string, value: string): boolean {
  switch (name) {
    case 'path':
    case 'linkpath':
    case `${SPARSE}name`:
    case `${ACCESS_LIST}access`:
    case `${ACCESS_LIST}default`:
      return !value.includes('\0');
    case 'size':
    case 'uid':
    case 'gid':
    case `${SPARSE}realsize`:
      return NUMBER.test(value) && Number.isSafeInteger(Number(value));
    case 'mtime':
      return TIME.test(value);
    case `${SPARSE}major`:
      return value === '1';
    case `${SPARSE}minor`:
      return value === '0';
    default:
      return name.startsWith(ATTRIBUTE) && !name.includes('\0');
  }
}

function fieldsOf(records: ReadonlyMap<string, string>): Omit<PaxFields, 'attributes' | 'accessLists'> | string {
  const fields: Record<string, string | number> = {};
  const take = (key: string, name: string) => {
    const value = records.get(name);
    if (value !== undefined) fields[key] = ['path', 'link', 'mtime'].includes(key) ? value : Number(value);
  };
  take('path', 'path');
  take('link', 'linkpath');
  for (const key of ['size', 'uid', 'gid', 'mtime']) take(key, key);
  const said = ['name', 'realsize', 'major', 'minor'].filter((key) => records.has(SPARSE + key));
  if (said.length === 0) return fields;
  // tar takes some of them alone, too.
  if (said.length < 4) return 'has a file whose holes are described in part';
  const path = records.get('path');
  if (path !== undefined && !SPARSE_PATH.test(path)) return 'has a file with holes that has two names';
  take('path', `${SPARSE}name`);
  take('realSize', `${SPARSE}realsize`);
  return fields;
}
