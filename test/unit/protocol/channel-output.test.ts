/** The launcher's end of the channel: output that arrives in pieces, over a real socket. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { Channel } from '../../../src/protocol/channel.js';
import { isSmallPiece } from '../../../src/protocol/coalesce-reads.js';
import { PacketParser } from '../../../src/protocol/packets.js';
import { HEADER_BYTES, MAX_PACKET_BYTES, OUTPUT_WINDOW_BYTES, Proc } from '../../../src/protocol/wire.js';
import { scratchDirectory } from '../../helpers/scratch.js';
import { exit, spawned, spawnOperation, stream } from './guest.js';

/** A channel, and the guest's end of its socket. */
async function connected(t: TestContext): Promise<{ channel: Channel; guest: Socket }> {
  const path = join(scratchDirectory(t), 'channel');
  const server = createServer().listen(path);
  t.after(() => server.close());
  await once(server, 'listening');
  const guest = connect(path);
  const [transport] = (await once(server, 'connection')) as [Socket];
  t.after(() => guest.destroy());
  t.after(() => transport.destroy());
  const channel = Channel.resume(transport);
  const spawning = channel.call(spawnOperation({ isApplication: true }));
  await once(guest, 'data');
  // Acknowledgements.
  guest.resume();
  await write(guest, spawned(1, APPLICATION));
  await spawning;
  return { channel, guest };
}

const APPLICATION = 7;

/** Bytes that encode their position. */
function numbered(size: number): Buffer {
  const data = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) data.writeUInt32BE(at, at);
  return data;
}

async function write(to: Socket, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => to.write(bytes, (error) => (error ? reject(error) : resolve())));
}

for (const piece of [1, 4095, 4096, 65536]) {
  test(`two streams in turn arrive complete in pieces of ${piece}`, async (t) => {
    const { channel, guest } = await connected(t);
    const packets = piece === 1 ? 2 : 12;
    const size = piece === 1 ? 9000 : MAX_PACKET_BYTES - HEADER_BYTES;
    const data = numbered(packets * size);
    const { stdout, stderr, exited } = channel.application;
    const received = Promise.all([buffer(stdout), buffer(stderr)]);
    const sent: Buffer[] = [];
    for (let at = 0; at < data.length; at += size)
      sent.push(
        stream(Proc.STDOUT, APPLICATION, data.subarray(at, at + size)),
        stream(Proc.STDERR, APPLICATION, data.subarray(at, at + size - 1)),
      );
    const bytes = Buffer.concat([...sent, exit(APPLICATION)]);
    let taken = 0;
    const acknowledged = new PacketParser({
      stream: () => {},
      streamEnd: () => {},
      packet: (_header, payload) => {
        taken += payload.readUInt32BE(0);
      },
    });
    guest.on('data', (packets: Buffer) => acknowledged.push(packets));
    for (let at = 0; at < bytes.length; at += piece) {
      while (at + piece - taken > OUTPUT_WINDOW_BYTES) await once(guest, 'data');
      await write(guest, bytes.subarray(at, at + piece));
    }
    const [out, err] = await received;
    assert.equal((await exited).status, 0);
    assert.ok(out.equals(data));
    assert.ok(err.equals(Buffer.concat(sent.filter((_, at) => at % 2 === 1).map((one) => one.subarray(HEADER_BYTES)))));
  });
}

test('the received part of a packet is passed on when the guest is gone before the rest', async (t) => {
  const { channel, guest } = await connected(t);
  const received = buffer(channel.application.stdout);
  const data = numbered(100_000);
  guest.end(stream(Proc.STDOUT, APPLICATION, data).subarray(0, HEADER_BYTES + 50_000));
  assert.ok((await received).equals(data.subarray(0, 50_000)));
  await assert.rejects(channel.application.exited, { code: 'guest-gone' });
});

test('only a small piece of a packet that still lacks a page or more is waited for', () => {
  const parser = new PacketParser({ stream: () => {}, streamEnd: () => {}, packet: () => {} });
  const packet = stream(Proc.STDOUT, 1, numbered(20_000));
  const takes = (bytes: Buffer) => {
    parser.push(bytes);
    return isSmallPiece(bytes.length, parser.missing);
  };
  assert.equal(takes(packet.subarray(0, 10)), false, 'no header yet, so nothing is known to follow');
  assert.equal(takes(packet.subarray(10, HEADER_BYTES)), true, 'a header alone');
  assert.equal(takes(packet.subarray(HEADER_BYTES, 10_000)), true);
  assert.equal(takes(packet.subarray(10_000, -4095)), false, 'less than a page is left');
  assert.equal(takes(packet.subarray(-4095)), false, 'whole');
  const large = stream(Proc.STDOUT, 1, numbered(200_000));
  assert.equal(takes(large.subarray(0, 65536)), false, 'there may be more to read at once');
});
