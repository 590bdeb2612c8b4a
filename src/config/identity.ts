/**
 * Who the application runs as. Users are those of the host: its passwd and group files first, because they cost
 * nothing, then the name service (LDAP, systemd-homed, …) through getent.
 */
import { readFileSync } from 'node:fs';
import { isSystemError } from '../util/errors.js';
import { configError, quote } from './failure.js';
import type { Identity } from './types.js';

/** Where users are looked up. */
export interface UserDatabase {
  readonly passwdFile: string;
  readonly groupFile: string;
  /** Ask the name service for users that the files do not have. */
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

/** What the running process tells about its user; {@link callerIdentity} reads the real one by default. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** $HOME. */
  readonly home: string | undefined;
}

/** The user of this process: effective ids, since those are what its files are opened with. */
export function currentCaller(): Caller {
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
    home: process.env['HOME'],
  };
}

/**
 * The caller's identity: ids and groups of the process, name from the passwd entry (the uid in digits where there is
 * none, as in containers with a made-up uid), home from $HOME, else the passwd entry, else `/`.
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
 * The identity of the host's user called `name`, or else of the one with that uid, with the groups that a login would give.
 * @throws SandboxError `user-unknown`
 */
export async function userIdentity(name: string, database = HOST_USERS): Promise<Identity> {
  const entry = (await findUser(name, database)) ?? (isId(name) ? await findUser(Number(name), database) : undefined);
  if (entry === undefined) {
    const remedy = isId(name)
      ? 'name a user of this host (getent passwd), since a number without an entry there has no home and no groups'
      : 'name a user that id(1) knows';
    throw configError('user-unknown', `user ${quote(name)} is not known on this host`, remedy);
  }
  const user = { uid: entry.uid, gid: entry.gid, username: entry.name, home: entry.home };
  return { ...user, groups: await memberships(entry, entry.gid, database) };
}

/**
 * root's identity, for `--privileged`; it needs no passwd entry.
 * @param savedHome what sandbox.cfg says of its home: libvirt-sandbox leaves the caller's there
 */
export async function rootIdentity(database = HOST_USERS, savedHome?: string): Promise<Identity> {
  const home = (await findUser(0, database))?.home ?? '/root';
  const user = { uid: 0, gid: 0, username: ROOT, home };
  const groups = await groupsOf(user, database);
  return { ...user, groups, ...(savedHome === undefined || savedHome === home ? {} : { savedHome }) };
}

/** What libvirt-sandbox calls the user of `--privileged`, whatever the host does. */
const ROOT = 'root';

/** True for the user whom libvirt-sandbox leaves every capability, asked for or not; it goes by the name. */
export function isRoot({ uid, username }: Pick<Identity, 'uid' | 'username'>): boolean {
  return uid === 0 && username === ROOT;
}

/**
 * Supplementary groups that a login on this host would give to `user`, ascending, without its own group. Empty for a
 * user that the host does not have, and for one whose name has another uid here: that is someone else.
 */
export async function groupsOf(user: Omit<Identity, 'groups'>, database = HOST_USERS): Promise<readonly number[]> {
  const entry = await findUser(user.username, database);
  return entry?.uid === user.uid ? memberships(entry, user.gid, database) : [];
}

/** The groups that have `entry` as a member, but for `gid`. */
async function memberships(entry: FoundUser, gid: number, database: UserDatabase): Promise<readonly number[]> {
  const found: number[] = [];
  for (const [, , id = '', members = ''] of readTable(database.groupFile)) {
    if (members.split(',').includes(entry.name) && isId(id)) found.push(Number(id));
  }
  // Asking for every local user as well would cost a process at each start.
  if (entry.fromNameService) {
    const line = await askNameService('initgroups', entry.name);
    found.push(...line.split(/\s+/).slice(1).filter(isId).map(Number));
  }
  return supplementary(found, gid);
}

/** `groups` ascending, each once, without `gid`: that one is set by itself. */
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
  // The name service takes digits for a uid, so its answer counts only when it is about the user that was meant.
  const answer = passwdEntry((await askNameService('passwd', String(key))).split(':'));
  return matches(answer) ? { ...answer, fromNameService: true } : undefined;
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

/**
 * The lines of a passwd or group file as fields; a host without the file has no users in it. At once: to wait for another thread takes longer than to
 * read it.
 */
function readTable(path: string): readonly (readonly string[])[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw configError('users-unreadable', `cannot read the users in ${path}`, 'make the file readable', error);
  }
}

/** The first line that `getent DATABASE KEY` prints; empty when it finds nothing or is not installed. */
async function askNameService(database: 'passwd' | 'initgroups', key: string): Promise<string> {
  if (key === '' || key.includes('\0')) return '';
  const { execa } = await import('execa');
  const { stdout } = await execa('getent', [database, '--', key], { reject: false, timeout: 10_000, stdin: 'ignore' });
  return stdout?.split('\n')[0] ?? '';
}
