/** Texts of the clipboard as VNC carries them, and a client of them with servers that say what they like. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { deflateSync, inflateSync } from 'node:zlib';
import { ClipboardClient } from '../../../src/rfb/clipboard-client.js';
import { RfbError, type RfbFault } from '../../../src/rfb/connection.js';
import { MOST_TEXT_BYTES, packText, readText, unpackText } from '../../../src/rfb/cut-text.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const CAPS = 0x1f00_0001;
const REQUEST = 0x0200_0001;
const NOTIFY = 0x0800_0001;
const PROVIDE = 0x1000_0001;

test('a text is packed and unpacked, with the ends of lines that are usual', async () => {
  const text = 'grüße\nzwei 😀\n';
  const packed = (await packText(text)) ?? assert.fail();
  const content = inflateSync(packed);
  assert.equal(content.toString('utf8', 4), 'grüße\r\nzwei 😀\r\n\0');
  assert.equal(content.readUInt32BE(), content.length - 4);
  assert.equal(await unpackText(packed), text);
  // What has such ends already gets no others.
  assert.equal(await unpackText((await packText('a\r\nb')) ?? assert.fail()), 'a\nb');
});

test('what is too large, packed or not, is no text', async () => {
  const largest = 'a'.repeat(MOST_TEXT_BYTES);
  assert.equal(await unpackText((await packText(largest)) ?? assert.fail()), largest);
  assert.equal(await packText(`${largest}a`), undefined);
  // It grows on the way.
  assert.equal(await packText('\n'.repeat(MOST_TEXT_BYTES / 2 + 1)), undefined);
  assert.equal(await unpackText(deflateSync(Buffer.alloc(100_000_000))), undefined);
});

test('what is no text is none', async () => {
  const wrong = [
    Buffer.alloc(0),
    Buffer.from('x'),
    deflateSync(Buffer.alloc(3)),
    deflateSync(Buffer.of(0, 0, 0, 9, 65)),
  ];
  for (const packed of wrong) assert.equal(await unpackText(packed), undefined);
});

test('a text is UTF-8, else Latin-1, and goes up to a NUL', () => {
  assert.equal(readText(Buffer.from('é€\0more')), 'é€');
  assert.equal(readText(Buffer.from('caf\xe9', 'latin1')), 'café');
  assert.equal(readText(Buffer.alloc(0)), '');
});

/** A server's end of a connection, behind the handshake. */
class Server {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket.pause().on('error', () => {});
  }

  async read(count: number): Promise<Buffer> {
    for (;;) {
      const bytes = this.#socket.read(count) as Buffer | null;
      if (bytes !== null) return bytes;
      await once(this.#socket, 'readable');
    }
  }

  /** @returns the flags of the next message, and what follows them */
  async message(): Promise<{ flags: number; payload: Buffer }> {
    const head = await this.read(12);
    assert.equal(head.readUInt8(), 6);
    const length = -head.readInt32BE(4) - 4;
    return { flags: head.readUInt32BE(8), payload: length === 0 ? Buffer.alloc(0) : await this.read(length) };
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  say(flags: number, payload: Uint8Array = Buffer.alloc(0)): void {
    const head = Buffer.of(3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    head.writeInt32BE(-(4 + payload.length), 4);
    head.writeUInt32BE(flags, 8);
    this.write(Buffer.concat([head, payload]));
  }

  end(): void {
    this.#socket.destroy();
  }
}

async function connected(
  t: TestContext,
): Promise<{ server: Server; opening: Promise<ClipboardClient>; texts: string[] }> {
  const listening = createServer();
  const path = join(scratchDirectory(t), 'socket');
  await once(listening.listen(path), 'listening');
  const connecting = once(listening, 'connection') as Promise<[Socket]>;
  const texts: string[] = [];
  const opening = ClipboardClient.open(new Socket().connect(path), (text) => void texts.push(text));
  opening.catch(() => {});
  const [socket] = await connecting;
  listening.close();
  const server = new Server(socket);
  t.after(async () => {
    server.end();
    await opening.then(
      (client) => client.close(),
      () => {},
    );
  });
  const screen = Buffer.alloc(24);
  screen.writeUInt16BE(640, 0);
  screen.writeUInt16BE(480, 2);
  server.write(Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.of(1, 1), Buffer.alloc(4), screen]));
  // Version, kind of password, whether others stay; and that it takes texts, and no picture.
  assert.equal((await server.read(14)).toString('latin1'), 'RFB 003.008\n\x01\x01');
  assert.deepEqual([...(await server.read(8))], [2, 0, 0, 1, 0xc0, 0xa1, 0xe5, 0xce]);
  return { server, opening, texts };
}

async function endsWith(client: ClipboardClient, fault: RfbFault): Promise<void> {
  const error = await client.ended;
  assert.ok(error instanceof RfbError);
  assert.equal(error.fault, fault, error.message);
}

test('a client asks for what others copy, and hands over what it is asked for', async (t) => {
  const { server, opening, texts } = await connected(t);
  server.say(CAPS, Buffer.alloc(4));
  const client = await opening;
  // However often it is told, it asks once in a while.
  for (let number = 0; number < 1000; number += 1) server.say(NOTIFY);
  assert.equal((await server.message()).flags, REQUEST);
  server.say(PROVIDE, (await packText('of another')) ?? assert.fail());
  // A text in Latin-1, and a bell before it.
  server.write(Buffer.concat([Buffer.of(2, 3, 0, 0, 0, 0, 0, 0, 4), Buffer.from('caf\xe9', 'latin1')]));
  server.say(PROVIDE, deflateSync(Buffer.alloc(100_000_000)));
  await client.offer('of its own');
  assert.equal((await server.message()).flags, NOTIFY);
  server.say(REQUEST);
  const { flags, payload } = await server.message();
  assert.equal(flags, PROVIDE);
  assert.equal(await unpackText(payload), 'of its own');
  assert.deepEqual(texts, ['of another', 'café']);
  server.end();
  await endsWith(client, 'closed');
});

for (const [what, bytes, fault] of [
  ['a picture', Buffer.of(0, 0, 0, 0), 'protocol'],
  ['more than a mebibyte', Buffer.of(3, 0, 0, 0, 0x80, 0, 0, 0), 'bound'],
  ['more than a mebibyte in Latin-1', Buffer.of(3, 0, 0, 0, 0x7f, 0, 0, 0), 'bound'],
  ['less than its own flags', Buffer.of(3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff), 'bound'],
] as const)
  test(`a client ends when the server sends ${what}`, async (t) => {
    const { server, opening } = await connected(t);
    server.say(CAPS, Buffer.alloc(4));
    const client = await opening;
    server.write(bytes);
    await endsWith(client, fault);
  });

test('a server that ends, or speaks nonsense, before it says what it can is an error', async (t) => {
  const { server, opening } = await connected(t);
  server.write(Buffer.of(9));
  await assert.rejects(opening, (error: Error) => error instanceof RfbError && error.fault === 'protocol');
});
