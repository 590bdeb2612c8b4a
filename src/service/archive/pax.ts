/**
 * The headers of PAX in an archive of a service. Only what GNU tar writes for a state is understood; all else is
 * refused, since tar(1), which unpacks it, could take it for something else than what was checked.
 */

/** What they say of the member that follows. Names are bytes as characters of latin1. */
export interface PaxFields {
  readonly path?: string;
  readonly link?: string;
  readonly size?: number;
  /** Of a file with holes: its size with these. */
  readonly realSize?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly attributes: readonly string[];
}

const ATTRIBUTE = 'SCHILY.xattr.';
/** Access lists, and times, which tar(1) reads. */
const PASSED = /^(?:SCHILY\.acl\.(?:access|default)|[amc]time)$/;
const SPARSE_VERSION: Readonly<Record<string, string>> = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0' };

/** @returns what is wrong, as a sentence that follows the name of the archive, or what the records say */
export function parsePax(data: Buffer): PaxFields | string {
  const records = new Map<string, string>();
  const attributes: string[] = [];
  for (let at = 0; at < data.length; ) {
    const blank = data.indexOf(0x20, at);
    const digits = blank < 0 ? '' : data.toString('latin1', at, Math.min(blank, at + 12));
    const end = at + Number(digits);
    const equals = data.indexOf(0x3d, blank);
    if (!/^[1-9]\d*$/.test(digits) || end > data.length || equals < 0 || equals >= end || data[end - 1] !== 0x0a)
      return 'has a PAX record that is malformed';
    const [name, value] = [data.toString('latin1', blank + 1, equals), data.toString('latin1', equals + 1, end - 1)];
    if (records.has(name)) return `says twice what ${JSON.stringify(name)} is`;
    records.set(name, value);
    at = end;
  }
  const fields: Record<string, string | number> = {};
  for (const [name, value] of records) {
    if (name.startsWith(ATTRIBUTE)) attributes.push(name.slice(ATTRIBUTE.length));
    else if (PASSED.test(name) || SPARSE_VERSION[name] === value) continue;
    else if (!take(fields, name, value)) return `has a PAX record ${JSON.stringify(name)} that tar does not write so`;
  }
  return { ...fields, attributes };
}

function take(fields: Record<string, string | number>, name: string, value: string): boolean {
  const texts: Readonly<Record<string, string>> = { path: 'path', 'GNU.sparse.name': 'path', linkpath: 'link' };
  const numbers: Readonly<Record<string, string>> = {
    size: 'size',
    'GNU.sparse.realsize': 'realSize',
    uid: 'uid',
    gid: 'gid',
  };
  const [text, number] = [texts[name], numbers[name]];
  const key = text ?? number;
  if (key === undefined || fields[key] !== undefined) return false;
  if (number !== undefined && !(/^\d{1,16}$/.test(value) && Number.isSafeInteger(Number(value)))) return false;
  if (text !== undefined && value.includes('\0')) return false;
  fields[key] = number === undefined ? value : Number(value);
  return true;
}
