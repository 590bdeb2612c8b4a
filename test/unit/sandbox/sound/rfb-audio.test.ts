/** What a QEMU that was taken over sends in place of sound. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { type Listener, RfbAudio } from '../../../../src/sandbox/sound/rfb-audio.js';
import { socketPair } from '../../../../src/util/socket-pair.js';

async function pair(t: TestContext): Promise<readonly [Socket, Socket]> {
  const [one, other] = (await socketPair()).map((fd) => new Socket({ fd }).on('error', () => {}));
  assert.ok(one !== undefined && other !== undefined);
  t.after(() => [one, other].forEach((socket) => void socket.destroy()));
  return [one, other];
}

/** What a server says to a client that it lets in, before anything of sound. */
const LET_IN = Buffer.concat([
  Buffer.from('RFB 003.008\n\u0001\u0001\0\0\0\0', 'latin1'),
  Buffer.from('01000100', 'hex'),
  Buffer.alloc(20),
]);

class Ear implements Listener {
  heard: Buffer = Buffer.alloc(0);
  pauses = 0;
  largest = 0;

  async play(samples: Buffer): Promise<void> {
    this.heard = Buffer.concat([this.heard, samples]);
    this.largest = Math.max(this.largest, samples.length);
  }

  pause(): void {
    this.pauses += 1;
  }
}

const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const BEGIN = bytes('ff 01 0001');
const END = bytes('ff 01 0000');

function data(samples: Buffer): Buffer {
  const head = bytes('ff 01 0002 00000000');
  head.writeUInt32BE(samples.length, 4);
  return Buffer.concat([head, samples]);
}

/** Messages that QEMU may send besides. */
const OTHERS = [bytes('00 00 0001 0000 0000 0500 0320 fffffefd'), bytes('02'), bytes('03 000000 00000003 616263')];

describe('what QEMU says', () => {
  it('is heard, in parts that are bounded, among other messages and in any pieces', async (t) => {
    const [qemu, own] = await pair(t);
    const ear = new Ear();
    qemu.write(LET_IN);
    const hearing = (await RfbAudio.open(own)).hear(ear);
    const samples = Buffer.from(Array.from({ length: 40_000 }, (_, at) => at % 251));
    const all = Buffer.concat([BEGIN, ...OTHERS, data(samples), data(Buffer.alloc(0)), END]);
    for (let at = 0; at < all.length; at += 977) qemu.write(all.subarray(at, at + 977));
    qemu.end();
    await hearing;
    assert.ok(ear.heard.equals(samples));
    assert.equal(ear.pauses, 1);
    assert.ok(ear.largest <= 16_384);
  });

  for (const [what, hex, expected] of [
    ['a picture', '00 00 0001 0000 0000 0500 0320 00000000', /sent a picture/],
    ['many pictures', '00 00 ffff 0000 0000 0500 0320 fffffefd', /sent a picture/],
    ['a message that nobody knows', '07', /a message of type 7/],
    ['a text that fills the memory', '03 000000 7fffffff', /a text that is too long/],
    ['a message that is not of sound', 'ff 00 0000', /not of sound/],
    ['a message of sound that nobody knows', 'ff 01 0007', /of sound of type 7/],
  ] as const)
    it(`ends it if it is ${what}`, async (t) => {
      const [qemu, own] = await pair(t);
      qemu.write(LET_IN);
      const hearing = (await RfbAudio.open(own)).hear(new Ear());
      qemu.write(bytes(hex));
      await assert.rejects(hearing, expected);
      assert.ok(own.destroyed);
    });

  it('ends with QEMU, also in the middle of a message', async (t) => {
    for (const hex of ['', 'ff', 'ff 01 0002 ffffffff 00000000']) {
      const [qemu, own] = await pair(t);
      qemu.write(LET_IN);
      const ear = new Ear();
      const hearing = (await RfbAudio.open(own)).hear(ear);
      qemu.end(bytes(hex));
      await hearing;
      assert.equal(ear.heard.length, 0);
    }
  });
});
