/** The user inside of a service: `--uid`, `--gid`, `--username` and `--homedir`. */
import { userIdentity } from '../../config/identity.js';
import { parseWhole } from '../../config/parsers/number.js';
import type { Identity } from '../../config/types.js';
import { SandboxError } from '../../util/errors.js';

/** Highest id: (uid_t) -1 means none. */
const LAST_ID = 0xffff_fffe;

export interface IdentityTexts {
  readonly uid?: string | undefined;
  readonly gid?: string | undefined;
  readonly username?: string | undefined;
  readonly homedir?: string | undefined;
}

/**
 * The identity that the options ask for. What they do not say is that of the host's user with the uid; without a uid
 * that of the caller. The host need not have such a user.
 * @throws {SandboxError} `number-invalid`, and what a user database throws
 */
export async function serviceIdentity(
  caller: Identity,
  { uid, gid, username, homedir }: IdentityTexts,
): Promise<Identity> {
  const base = uid === undefined ? caller : await userOf(parseWhole(uid, '--uid', 0, LAST_ID));
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
