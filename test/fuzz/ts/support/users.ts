/** A host with a few users, in memory. */
import type { UserDatabase } from '../../../../src/config/identity.js';
import { putFile } from './memory-files.js';

export const USERS: UserDatabase = {
  passwdFile: putFile('passwd', Buffer.from('root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n')),
  groupFile: putFile('group', Buffer.from('root:x:0:\naudio:x:29:alice\n')),
  nameService: false,
};
