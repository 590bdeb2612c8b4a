/** The secret in the path of the page: who has it may look and type. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const BYTES = 32;

export class Token {
  readonly text = randomBytes(BYTES).toString('base64url');
  readonly #digest = digestOf(this.text);

  /** Takes the same time for each text of that length. */
  is(text: string): boolean {
    return timingSafeEqual(digestOf(text), this.#digest);
  }
}

/**
 * What the server proves to the page that it is the same one: the page has a key from it, and sends a number that it uses
 * once. When the server has ended, another user of the host may listen at its port.
 */
export class Proof {
  readonly key = randomBytes(BYTES).toString('hex');

  of(nonce: string): string {
    return createHmac('sha256', Buffer.from(this.key, 'hex')).update(nonce).digest('hex');
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
