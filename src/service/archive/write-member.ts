/** Writes the headers of members of a tar archive anew, each in one form: POSIX pax(1), "ustar Interchange Format". */
import { BLOCK } from '../../oci/tar/header.js';
import type { Member, MemberType } from './members.js';
import { ACCESS_LIST, ATTRIBUTE } from './pax.js';
import { formatSparseMap } from './sparse.js';

const FLAGS: Readonly<Record<MemberType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  directory: '5',
  fifo: '6',
};

/** What fits into a field of eight, and of twelve bytes. */
const MOST_SHORT = 0o7777777;
const MOST_LONG = 0o77777777777;

interface Header {
  readonly name: string;
  readonly flag: string;
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size: number;
  readonly mtime?: number;
  readonly device?: readonly [major: number, minor: number];
}

/** A small regular file of root's, for root alone, as a whole. */
export function textMember(name: string, text: string): Buffer {
  const content = Buffer.from(text);
  const mtime = Math.floor(Date.now() / 1000);
  return Buffer.concat([header({ name, flag: '0', mode: 0o600, size: content.length, mtime }), filled(content)]);
}

/**
 * What stands in front of a member's content. tar(1) gets nothing else of what somebody has written there.
 * @param attributes names of the extended attributes that it is to have
 */
export function memberHeader(member: Member, takes: (attribute: string) => boolean): Buffer {
  const { type, link, mode, uid, gid, mtime, device, holes } = member;
  const name = type === 'directory' ? `${member.name}/` : member.name;
  const map = holes === undefined ? Buffer.alloc(0) : formatSparseMap(holes);
  const size = map.length + member.size;
  const records: [string, string | number][] = [[holes === undefined ? 'path' : 'GNU.sparse.name', name]];
  if (holes !== undefined)
    records.push(['GNU.sparse.major', 1], ['GNU.sparse.minor', 0], ['GNU.sparse.realsize', holes.realSize]);
  if (type === 'link' || type === 'symlink') records.push(['linkpath', link]);
  if (size > MOST_LONG) records.push(['size', size]);
  if (uid > MOST_SHORT) records.push(['uid', uid]);
  if (gid > MOST_SHORT) records.push(['gid', gid]);
  records.push(['mtime', mtime]);
  if (type === 'file' || type === 'directory') {
    for (const [which, value] of member.accessLists) records.push([`${ACCESS_LIST}${which}`, value]);
    for (const [attribute, value] of member.attributes)
      if (takes(attribute)) records.push([`${ATTRIBUTE}${attribute}`, value]);
  }
  const pax = Buffer.concat(records.map(([key, value]) => paxRecord(key, String(value))));
  const own = {
    ...{ name: name.slice(0, 100), flag: FLAGS[type], mode, device },
    uid: uid > MOST_SHORT ? 0 : uid,
    gid: gid > MOST_SHORT ? 0 : gid,
    size: size > MOST_LONG ? 0 : size,
  };
  const extension = header({ name: 'PaxHeaders/member', flag: 'x', mode: 0o644, size: pax.length });
  return Buffer.concat([extension, filled(pax), header(own), map]);
}

/** `LENGTH NAME=VALUE\n`, whose length counts itself. */
function paxRecord(name: string, value: string): Buffer {
  const rest = ` ${name}=${value}\n`;
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.from(`${length}${rest}`, 'latin1');
}

function header({ name, flag, mode, uid = 0, gid = 0, size, mtime = 0, device = [0, 0] }: Header): Buffer {
  const block = Buffer.alloc(BLOCK);
  const put = (at: number, value: string) => block.write(value, at, 'latin1');
  put(0, name);
  put(100, octal(mode, 8));
  put(108, octal(uid, 8));
  put(116, octal(gid, 8));
  put(124, octal(size, 12));
  put(136, octal(mtime, 12));
  put(148, ' '.repeat(8));
  put(156, flag);
  put(257, 'ustar\x0000');
  put(329, octal(device[0], 8));
  put(337, octal(device[1], 8));
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${octal(sum, 7)} `);
  return block;
}

/** With a zero behind it. */
function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`;
}

function filled(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}
