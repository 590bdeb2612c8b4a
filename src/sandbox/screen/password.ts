/** Passwords of VNC. */
import { randomInt } from 'node:crypto';

/** All that VNC looks at. */
const LENGTH = 8;

/** Without those that are read for one another: 57 characters, and so 46 bits in a password. */
const CHARACTERS = '23456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ';

export function newPassword(): string {
  return Array.from({ length: LENGTH }, () => CHARACTERS[randomInt(CHARACTERS.length)]).join('');
}
