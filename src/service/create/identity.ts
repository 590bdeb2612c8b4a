/** The user inside of a service: `--uid`, `--gid`, `--username` and `--homedir`. */
import { configError, quote } from '../../config/errors.js';
import { callerIdentity, HOST_USERS, rootIdentity, userIdentity } from '../../config/identity.js';
import { parseWhole } from '../../config/parsers/number.js';
import type { Identity } from '../../config/types.js';
import { ignoreSandboxError, SandboxError } from '../../util/errors.js';

/** Highest id: (uid_t) -1 means none. */
const LAST_ID = 0xffff_fffe;

const OPTIONS = ['uid', 'gid', 'username', 'homedir'] as const;

/** What the four options have; undefined: not given. */
export interface IdentityTexts {
  readonly uid?: string | undefined;
  readonly gid?: string | undefined;
  readonly username?: string | undefined;
  readonly homedir?: string | undefined;
}

/** What has to be root inside, whoever makes the service. */
export type RootOnly = 'units' | 'privileged' | undefined;

/**
 * The identity that the options ask for. What they do not say is that of the host's user with the uid; without a uid
 * that of the caller. The host need not have such a user.
 * @param rootOnly what is root's, and goes with none of the options
 * @throws {SandboxError} `service-user-of-units`, `privileged-with-uid`, `service-username-without-uid`,
 *   `number-invalid`, and what a user database throws
 */
export async function serviceIdentity(texts: IdentityTexts, rootOnly: RootOnly): Promise<Identity> {
  if (rootOnly === undefined) return identityOf(await callerIdentity(), texts);
  const given = OPTIONS.find((name) => texts[name] !== undefined);
  if (given !== undefined) throw rootAlready(rootOnly, given);
  return rootIdentity(HOST_USERS, (await callerIdentity()).home);
}

function rootAlready(rootOnly: 'units' | 'privileged', given: string): SandboxError {
  return rootOnly === 'units'
    ? configError(
        'service-user-of-units',
        `systemd runs as root inside, so --unitfile cannot go with --${given}`,
        `leave out --${given}; User= of a unit says who runs its programs`,
      )
    : configError(
        'privileged-with-uid',
        `--privileged stays root and cannot go with --${given}`,
        'leave out one of them',
      );
}

async function identityOf(caller: Identity, { uid, gid, username, homedir }: IdentityTexts): Promise<Identity> {
  const base = uid === undefined ? caller : await userOf(parseWhole(uid, '--uid', 0, LAST_ID));
  if (uid === undefined && username !== undefined) await refuseOther(base, username);
  const group = gid === undefined ? base.gid : parseWhole(gid, '--gid', 0, LAST_ID);
  return {
    uid: base.uid,
    gid: group,
    username: username ?? base.username,
    home: homedir ?? base.home,
    groups: base.groups.filter((one) => one !== group),
  };
}

async function userOf(uid: number): Promise<Identity> {
  try {
    return await userIdentity(String(uid));
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code !== 'user-unknown') throw error;
    return { uid, gid: uid, username: String(uid), home: '/', groups: [] };
  }
}

/** A name alone makes nobody that user. @throws {SandboxError} `service-username-without-uid` */
async function refuseOther({ uid }: Identity, username: string): Promise<void> {
  const named = await ignoreSandboxError(userIdentity(username));
  if (named === undefined || named.uid === uid) return;
  throw configError(
    'service-username-without-uid',
    `--username says only what the user ${uid} is called inside, and ${quote(username)} is the user ${named.uid} here`,
    `give the number: --uid ${named.uid}`,
  );
}
