/**
 * The user that an image runs as: names and numbers by the image's own passwd and group, as other engines take them.
 * The host's users have nothing to do with it.
 */
import { hasControlCharacter } from '../config/parsers/text.js';
import { imageError, quoted } from '../oci-names/errors.js';

export interface ImageUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, sorted. */
  readonly groups: readonly number[];
  /** By its passwd; `/` of a user that it does not know. */
  readonly home: string;
  /** By its passwd. */
  readonly name: string | undefined;
}

/** The files of an image's /etc; empty where it has none. */
export interface UserFiles {
  readonly passwd: string;
  readonly group: string;
}

/** The largest number of a user or a group. The one above is nobody's (init/common/overlay.ts), and then comes none. */
const MOST_ID = 2 ** 32 - 3;
/** Characters of a name, as useradd has them, and of a home. */
const MOST_NAME = 256;
const MOST_HOME = 4095;

/**
 * @param user `user`, `uid`, `user:group`, any mix of names and numbers; empty: root
 * @param which names the image, for errors
 * @throws {SandboxError} `user-unknown`: a name that the image does not know, or a number that no system has
 */
export function imageUser(user: string, { passwd, group }: UserFiles, which: string): ImageUser {
  const [userWord = '', groupWord] = splitOnce(user);
  const wanted = userWord === '' ? '0' : userWord;
  const entry = rows(passwd, 4).find(([name, , uid]) => name === wanted || (isId(uid) && uid === wanted));
  const uid = entry === undefined ? toId(wanted, 'user', which) : toId(entry[2] ?? '', 'user', which);
  const name = plain(entry?.[0], MOST_NAME);
  const home = plain(entry?.[5], MOST_HOME) || '/';
  if (groupWord !== undefined && groupWord !== '') {
    const found = rows(group, 3).find(([own, , gid]) => own === groupWord || (isId(gid) && gid === groupWord));
    return { uid, gid: toId(found?.[2] ?? groupWord, 'group', which), groups: [], home, name };
  }
  const gid = entry === undefined ? 0 : toId(entry[3] ?? '', 'group', which);
  const groups = rows(group, 4)
    .filter(([, , id, members = '']) => name !== undefined && isId(id) && members.split(',').includes(name))
    .map(([, , id]) => Number(id));
  return { uid, gid, groups: [...new Set(groups)].sort((a, b) => a - b), home, name };
}

/** A text that may stand in an environment and in a message; undefined: it is none. */
function plain(text: string | undefined, most: number): string | undefined {
  return text === undefined || text.length > most || hasControlCharacter(text) ? undefined : text;
}

function splitOnce(user: string): [string, string?] {
  const colon = user.indexOf(':');
  return colon < 0 ? [user] : [user.slice(0, colon), user.slice(colon + 1)];
}

/** The lines of such a file that have so many fields at least. */
function rows(text: string, fields: number): string[][] {
  return text
    .split('\n')
    .map((line) => line.trim().split(':'))
    .filter((row) => row.length >= fields && row[0] !== '' && row[0]?.startsWith('#') === false);
}

function isId(text: string | undefined): boolean {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= MOST_ID;
}

function toId(text: string, what: 'user' | 'group', which: string): number {
  if (isId(text)) return Number(text);
  const file = what === 'user' ? 'passwd' : 'group';
  throw imageError(
    'user-unknown',
    `${which} has no ${what} ${quoted(text)} in its /etc/${file}`,
    'choose another with --user, by its number if it has no name',
  );
}
