/** What of a viewer's messages comes through. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ClientMessages, MOST_BYTES } from '../../../src/rfb/client-messages.js';

const GREETING = Buffer.from('RFB 003.008\n\u0001\u0001', 'latin1');
const KEY = Buffer.from('0401000000000061', 'hex');
const POINTER = Buffer.from('050100100010', 'hex');
const QEMU_KEY = Buffer.from('ff0000010000006100000010', 'hex');
const UPDATE = Buffer.from('03010000000005000320', 'hex');
const SIZE = Buffer.from(`fb00050003200100${'00'.repeat(16)}`, 'hex');

/** All that comes through; rejects with what is refused. */
async function passed(chunks: readonly Buffer[], clipboard = false): Promise<Buffer> {
  const messages = new ClientMessages({ clipboard });
  const out: Buffer[] = [];
  messages.on('data', (chunk: Buffer) => void out.push(chunk));
  const ended = new Promise<void>((resolve, reject) => {
    messages.once('end', resolve);
    messages.once('error', reject);
  });
  for (const chunk of chunks) messages.write(chunk);
  messages.end();
  await ended;
  return Buffer.concat(out);
}

function cutText(length: number, text: string): Buffer {
  const head = Buffer.from('0600000000000000', 'hex');
  head.writeInt32BE(length, 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

function encodings(...all: readonly number[]): Buffer {
  const message = Buffer.alloc(4 + 4 * all.length);
  message.writeUInt8(2);
  message.writeUInt16BE(all.length, 2);
  all.forEach((encoding, number) => void message.writeInt32BE(encoding, 4 + 4 * number));
  return message;
}

const EXTENDED_CLIPBOARD = 0xc0a1e5ce - 2 ** 32;

describe('messages of a viewer', () => {
  it('come through as they are, however they are cut', async () => {
    const all = Buffer.concat([GREETING, encodings(7, 0), UPDATE, KEY, POINTER, QEMU_KEY, SIZE]);
    assert.deepEqual(await passed([all]), all);
    assert.deepEqual(await passed(Array.from(all, (byte) => Buffer.of(byte))), all);
  });

  it('have no text of the clipboard, and do not ask for one, unless that is wanted', async () => {
    const texts = [cutText(6, 'secret'), cutText(-6, 'secret')];
    const asking = encodings(7, EXTENDED_CLIPBOARD, 0);
    const sent = [GREETING, asking, KEY, ...texts, POINTER];
    assert.deepEqual(await passed(sent), Buffer.concat([GREETING, encodings(7, 0), KEY, POINTER]));
    assert.deepEqual(await passed(sent, true), Buffer.concat(sent));
    // A piece at a time.
    const pieces = Array.from(Buffer.concat(sent), (byte) => Buffer.of(byte));
    assert.deepEqual(await passed(pieces), Buffer.concat([GREETING, encodings(7, 0), KEY, POINTER]));
  });

  it('are refused that noVNC does not send, and those that are too long', async () => {
    const refused = [
      Buffer.from('RFB 003.003\n'),
      Buffer.from('RFB 003.008\n\u0002', 'latin1'),
      // That others have to go.
      Buffer.from('RFB 003.008\n\u0001\u0000', 'latin1'),
      ...[1, 7, 127, 250, 252, 254].map((type) => Buffer.concat([GREETING, Buffer.alloc(64, type)])),
      // QEMU's sound.
      Buffer.concat([GREETING, Buffer.from('ff010000', 'hex')]),
      Buffer.concat([GREETING, cutText(MOST_BYTES, '')]),
      Buffer.concat([GREETING, cutText(-MOST_BYTES, '')]),
      Buffer.concat([GREETING, cutText(-(2 ** 31), '')]),
      Buffer.concat([GREETING, Buffer.from('0200ffff', 'hex')]),
      Buffer.concat([GREETING, Buffer.from('f8000000000000ff41', 'hex'), Buffer.of(255)]),
    ];
    for (const [number, bytes] of refused.entries()) await assert.rejects(passed([bytes], true), /viewer/, `${number}`);
  });
});
