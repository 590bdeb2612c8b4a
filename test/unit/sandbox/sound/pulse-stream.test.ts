/** What a server sends that is no sound server. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { PulseStream } from '../../../../src/sandbox/sound/pulse-stream.js';
import { serverPath } from '../../../../src/sandbox/sound/server.js';
import { socketPair } from '../../../../src/util/socket-pair.js';

const SECOND = 48_000 * 4;

async function pair(t: TestContext): Promise<readonly [Socket, Socket]> {
  const [one, other] = (await socketPair()).map((fd) => new Socket({ fd }).on('error', () => {}));
  assert.ok(one !== undefined && other !== undefined);
  t.after(() => [one, other].forEach((socket) => void socket.destroy()));
  return [one, other];
}

/** A message: its length, the channel of commands, no offset and no flags, and numbers. */
function message(numbers: readonly number[], length = numbers.length * 5): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt32BE(length, 0);
  head.writeUInt32BE(0xffffffff, 4);
  const body = numbers.map((number) => {
    const value = Buffer.from('L....');
    value.writeUInt32BE(number, 1);
    return value;
  });
  return Buffer.concat([head, ...body]);
}

async function until(isDone: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 30_000; !isDone(); await new Promise((resolve) => setTimeout(resolve, 5)))
    assert.ok(Date.now() < deadline, 'nothing more comes');
}

/** What a client sends in the channel 7, so far. */
function samplesOf(server: Socket): () => Buffer {
  let sent: Buffer = Buffer.alloc(0);
  server.on('data', (data: Buffer) => {
    sent = Buffer.concat([sent, data]);
  });
  return () => {
    const samples: Buffer[] = [];
    for (let at = 0; at + 20 <= sent.length; ) {
      const end = at + 20 + sent.readUInt32BE(at);
      if (sent.readUInt32BE(at + 4) === 7) samples.push(sent.subarray(at + 20, end));
      at = end;
    }
    return Buffer.concat(samples);
  };
}

/** Answers all that a client asks to get a stream, which it asks for no sample of. */
async function opened(t: TestContext): Promise<{ stream: PulseStream; server: Socket }> {
  const [server, own] = await pair(t);
  let tag = 0;
  const answer = () => {
    server.write(message([2, tag, 7, 0, 0]));
    tag += 1;
  };
  server.on('data', answer);
  const stream = await PulseStream.open(own, 'name');
  server.off('data', answer);
  return { stream, server };
}

describe('a stream', () => {
  it('drops at once what a server does not ask for, and sends whole frames', async (t) => {
    const { stream, server } = await opened(t);
    const got = samplesOf(server);
    const quarter = SECOND / 4;
    for (const [byte, fits] of [true, true, false, true, false].entries())
      assert.equal(stream.play(Buffer.alloc(quarter, byte)), fits, `${byte}`);
    server.write(message([61, 0xffffffff, 7, 1003]));
    await until(() => got().length >= 1000);
    server.write(message([61, 0xffffffff, 7, 1]));
    await until(() => got().length >= 1004);
    assert.ok(got().equals(Buffer.alloc(1004, 4)));
    assert.equal(stream.play(Buffer.alloc(quarter, 5)), true);
    // It ends when all that waits is sent, and the server says no more.
    const ending = stream.end();
    await until(() => got().length >= 2 * quarter);
    assert.ok(got().equals(Buffer.concat([Buffer.alloc(quarter, 4), Buffer.alloc(quarter, 5)])));
    server.end();
    await ending;
  });

  it('may be asked for more before its channel is known', async (t) => {
    const [server, own] = await pair(t);
    const got = samplesOf(server);
    let tag = 0;
    server.on('data', () => {
      const more = tag === 2 ? message([61, 0xffffffff, 7, 100]) : Buffer.alloc(0);
      server.write(Buffer.concat([message([2, tag, 7, 0, 0]), more]));
      tag += 1;
    });
    const opening = PulseStream.open(own, 'name');
    (await opening).play(Buffer.alloc(200, 1));
    await until(() => got().length >= 100);
    assert.equal(got().length, 100);
  });

  for (const [what, sent, expected] of [
    ['a message that fills the memory', message([], 0xffffffff), /a message of 4294967295 bytes/],
    ['that it has ended the stream', message([64, 0xffffffff, 7]), /has ended the stream/],
  ] as const)
    it(`ends when a server says ${what}`, async (t) => {
      const { stream, server } = await opened(t);
      server.write(sent);
      assert.match(String(await stream.ended), expected);
    });

  it('is none of a server that refuses it', async (t) => {
    const [server, own] = await pair(t);
    server.write(message([0, 0, 1]));
    await assert.rejects(PulseStream.open(own, 'name'), /the sound server refused it \(error 1\)/);
  });

  it('is looked for in the runtime directory', () => {
    assert.equal(serverPath({ XDG_RUNTIME_DIR: '/run/user/7' }), '/run/user/7/pulse/native');
    for (const none of [{}, { XDG_RUNTIME_DIR: '' }]) assert.throws(() => serverPath(none), /is not set/);
  });
});
