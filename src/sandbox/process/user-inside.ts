/** Users of a sandbox, by its own passwd and group files. Its root may have written anything to them. */
import { constants } from 'node:os';
import { configError, quote } from '../../config/errors.js';
import { identityIn } from '../../config/identity.js';
import type { Identity } from '../../config/types.js';
import type { Channel } from '../../protocol/channel.js';
import { OperationError } from '../../protocol/operations.js';

/** Most bytes of a file that READ_FILE reads: docs/protocol.md. */
const MOST_BYTES = 131_072;

/**
 * @param user a name, or a number
 * @throws {SandboxError} `user-unknown`, `users-unreadable`
 */
export async function userInside(channel: Channel, user: string): Promise<Identity> {
  const [passwd, group] = await Promise.all([read(channel, '/etc/passwd'), read(channel, '/etc/group')]);
  const identity = identityIn(user, passwd, group);
  if (identity !== undefined) return identity;
  throw configError(
    'user-unknown',
    `user ${quote(user)} is not known in the sandbox`,
    'name a user of its /etc/passwd, or leave it out for the user of the application',
  );
}

async function read(channel: Channel, path: string): Promise<string> {
  try {
    const { value } = await channel.call({ op: 'readFile', path, limit: MOST_BYTES }, { tolerate: true });
    return Buffer.from(value).toString('utf8');
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    if (error.errno === constants.errno.ENOENT) return '';
    throw configError(
      'users-unreadable',
      `cannot read the users of the sandbox: ${error.message}`,
      `see that ${path} inside is a file of at most ${MOST_BYTES} bytes`,
      error,
    );
  }
}
