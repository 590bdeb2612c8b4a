/**
 * The user that the application runs as. Users are looked up on the host: first in its passwd and group files, which is
 * fast, then in the name service (LDAP, systemd-homed, …) through getent.
 */
import { readFileSync } from 'node:fs';
import { isSystemError } from '../util/errors.js';
import { configError, quote } from './errors.js';
import type { Identity } from './types.js';

/** Where users are looked up. */
export interface UserDatabase {
  readonly passwdFile: string;
  readonly groupFile: string;
  /** Whether to ask the name service for users that the files do not have. */
  readonly nameService: boolean;
}

/** The host's own users. */
export const HOST_USERS: UserDatabase = { passwdFile: '/etc/passwd', groupFile: '/etc/group', nameService: true };

/** One line of a passwd file. */
interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface FoundUser extends PasswdEntry {
  readonly fromNameService: boolean;
}

/** The user of a process. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** $HOME. */
  readonly home: string | undefined;
}

/** The user of this process. Effective ids, because files are opened with them. */
export function currentCaller(): Caller {
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
    home: process.env['HOME'],
  };
}

/**
 * The caller's identity. Ids and groups are the process's. The name is that of the passwd entry, or the uid in digits
 * if there is none, as in containers with an arbitrary uid. The home is $HOME, else that of the passwd entry, else `/`.
 */
export async function callerIdentity(database = HOST_USERS, caller = currentCaller()): Promise<Identity> {
  const entry = await findUser(caller.uid, database);
  const home = caller.home?.startsWith('/') === true ? caller.home : entry?.home;
  return {
    uid: caller.uid,
    gid: caller.gid,
    username: entry?.name ?? String(caller.uid),
    home: home ?? '/',
    groups: supplementary(caller.groups, caller.gid),
  };
}

/**
 * The identity of the host's user `name`; if there is no such name, of the user with that uid. Groups are those that a
 * login would give.
 * @throws SandboxError `user-unknown`
 */
export async function userIdentity(name: string, database = HOST_USERS): Promise<Identity> {
  const entry = (await findUser(name, database)) ?? (isId(name) ? await findUser(Number(name), database) : undefined);
  if (entry === undefined) {
    const remedy = isId(name)
      ? 'name a user that getent passwd lists: a bare number has no home and no groups'
      : 'name a user that id(1) knows';
    throw configError('user-unknown', `user ${quote(name)} is not known on this host`, remedy);
  }
  const user = { uid: entry.uid, gid: entry.gid, username: entry.name, home: entry.home };
  return { ...user, groups: await memberships(entry, entry.gid, database) };
}

/**
 * The identity of root, for `--privileged`. It needs no passwd entry.
 * @param savedHome the home that sandbox.cfg has for root: libvirt-sandbox writes the caller's
 */
export async function rootIdentity(database = HOST_USERS, savedHome?: string): Promise<Identity> {
  const home = (await findUser(0, database))?.home ?? '/root';
  const user = { uid: 0, gid: 0, username: ROOT, home };
  const groups = await groupsOf(user, database);
  return { ...user, groups, ...(savedHome === undefined || savedHome === home ? {} : { savedHome }) };
}

/** The name that libvirt-sandbox gives the user of `--privileged`, whatever the host calls it. */
const ROOT = 'root';

/** True for a user whose capabilities libvirt-sandbox keeps, asked for or not. It looks at the name. */
export function isRoot({ uid, username }: Pick<Identity, 'uid' | 'username'>): boolean {
  return uid === 0 && username === ROOT;
}

/**
 * The supplementary groups that a login on this host would give to `user`, ascending, without its own group. Empty if
 * the host has no such user. Empty too if that name has another uid here: that is a different user.
 */
export async function groupsOf(user: Omit<Identity, 'groups'>, database = HOST_USERS): Promise<readonly number[]> {
  const entry = await findUser(user.username, database);
  return entry?.uid === user.uid ? memberships(entry, user.gid, database) : [];
}

/**
 * The identity of a user by the texts of passwd and group files, by name or by uid.
 * @returns undefined if there is no such user
 */
export function identityIn(user: string, passwd: string, group: string): Identity | undefined {
  const entries = tableOf(passwd).map(passwdEntry);
  const entry =
    entries.find((one) => one?.name === user) ?? entries.find((one) => isId(user) && one?.uid === Number(user));
  if (entry === undefined) return undefined;
  const { name: username, uid, gid, home } = entry;
  return { uid, gid, username, home, groups: supplementary(memberIds(username, tableOf(group)), gid) };
}

/** The ids of the groups that have a user as a member. */
function memberIds(username: string, groups: Table): number[] {
  return groups
    .filter(([, , id = '', members = '']) => members.split(',').includes(username) && isId(id))
    .map(([, , id]) => Number(id));
}

/** The groups that have `entry` as a member, except `gid`. */
async function memberships(entry: FoundUser, gid: number, database: UserDatabase): Promise<readonly number[]> {
  const found = memberIds(entry.name, readTable(database.groupFile));
  // Asking for local users too would cost a process at each start.
  if (entry.fromNameService) {
    const line = await askNameService('initgroups', entry.name);
    found.push(...line.split(/\s+/).slice(1).filter(isId).map(Number));
  }
  return supplementary(found, gid);
}

/** `groups` ascending, each once, without `gid`, which is set separately. */
function supplementary(groups: readonly number[], gid: number): readonly number[] {
  return [...new Set(groups)].filter((group) => group !== gid).sort((a, b) => a - b);
}

/** Finds a user by name or by uid. */
async function findUser(key: string | number, database: UserDatabase): Promise<FoundUser | undefined> {
  const matches = (entry: PasswdEntry | undefined): entry is PasswdEntry =>
    entry !== undefined && (entry.name === key || entry.uid === key);
  const local = readTable(database.passwdFile).map(passwdEntry).find(matches);
  if (local !== undefined) return { ...local, fromNameService: false };
  if (!database.nameService) return undefined;
  // The name service reads digits as a uid, so check that the answer is about the user that was asked for.
  const answer = passwdEntry((await askNameService('passwd', String(key))).split(':'));
  return matches(answer) ? { ...answer, fromNameService: true } : undefined;
}

/** Users of the host's passwd file and their homes. */
export function homesOfUsers(database = HOST_USERS): { name: string; uid: number; home: string }[] {
  return readTable(database.passwdFile).flatMap((fields) => passwdEntry(fields) ?? []);
}

function passwdEntry(fields: readonly string[]): PasswdEntry | undefined {
  const [name = '', , uid = '', gid = '', , home = ''] = fields;
  if (name === '' || !isId(uid) || !isId(gid)) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), home: home.startsWith('/') ? home : '/' };
}

/** A uid or gid in digits. (uid_t)-1 means "no user" in every system call. */
function isId(text: string): boolean {
  return /^[0-9]{1,10}$/.test(text) && Number(text) < 0xffffffff;
}

/** The lines of a passwd or group file as fields. */
type Table = readonly (readonly string[])[];

function tableOf(text: string): Table {
  return text.split('\n').map((line) => line.split(':'));
}

/**
 * The lines of a passwd or group file as fields; none if the host has no such file. Synchronous: handing the read to
 * another thread takes longer than reading.
 * @throws SandboxError `users-unreadable`
 */
function readTable(path: string): Table {
  try {
    return tableOf(readFileSync(path, 'utf8'));
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw configError('users-unreadable', `cannot read the users in ${path}`, 'make the file readable', error);
  }
}

/** The first line that `getent DATABASE KEY` prints; empty if it finds nothing or is not installed. At most 10 s. */
async function askNameService(database: 'passwd' | 'initgroups', key: string): Promise<string> {
  if (key === '' || key.includes('\0')) return '';
  const { execa } = await import('execa');
  const { stdout } = await execa('getent', [database, '--', key], { reject: false, timeout: 10_000, stdin: 'ignore' });
  return stdout?.split('\n')[0] ?? '';
}
