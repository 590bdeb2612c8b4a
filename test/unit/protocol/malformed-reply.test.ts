/** A guest whose replies violate the protocol: the connection ends, and so does every call. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Channel } from '../../../src/protocol/channel.js';
import { encodePacket } from '../../../src/protocol/packets.js';
import { MessageType, Proc, Status } from '../../../src/protocol/wire.js';
import { SandboxError } from '../../../src/util/errors.js';

const MALFORMED: readonly (readonly [name: string, status: number, payload: Buffer])[] = [
  ['too short', Status.OK, Buffer.alloc(3)],
  ['too long', Status.OK, Buffer.alloc(9)],
  ['a failure that is cut off', Status.ERROR, Buffer.alloc(10)],
];

for (const [name, status, payload] of MALFORMED) {
  test(`a reply that is malformed (${name}) fails its call, and the others`, async () => {
    const transport = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
    const channel = Channel.resume(transport);
    const outcomes = ['unsettled', 'unsettled'];
    for (const at of outcomes.keys()) {
      channel.call({ op: 'sync' }).then(
        () => {
          outcomes[at] = 'fulfilled';
        },
        (error: unknown) => {
          outcomes[at] = error instanceof SandboxError ? error.code : String(error);
        },
      );
    }
    transport.push(encodePacket(Proc.SYNC, MessageType.REPLY, status, 1, payload));
    await assert.rejects(channel.application.exited, /the connection to the guest broke/);
    await nextTurn();
    assert.deepEqual(outcomes, ['guest-gone', 'guest-gone']);
  });
}
