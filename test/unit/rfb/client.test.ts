/** Pictures of a server, and what of a server that says anything comes to an end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { RfbClient } from '../../../src/rfb/client.js';
import { RfbError, type RfbFault } from '../../../src/rfb/connection.js';
import { pngOf } from '../../../src/sandbox/screen/png.js';
import { coloursOf } from '../../helpers/png.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const SIZE = [4, 3] as const;

/** A client that is let in, and the server's end. */
async function opened(t: TestContext): Promise<{ client: RfbClient; server: Socket }> {
  const listening = createServer();
  const path = join(scratchDirectory(t), 'socket');
  await once(listening.listen(path), 'listening');
  const connecting = once(listening, 'connection') as Promise<[Socket]>;
  const stream = new Socket().connect(path);
  const [server] = await connecting;
  listening.close();
  server.on('error', () => {}).resume();
  t.after(() => {
    stream.destroy();
    server.destroy();
  });
  const said = Buffer.alloc(24);
  said.writeUInt16BE(SIZE[0], 0);
  said.writeUInt16BE(SIZE[1], 2);
  server.write(Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.of(1, 1), Buffer.alloc(4), said]));
  return { client: await RfbClient.open(stream, { timeoutMs: 2000 }), server };
}

function update(...rectangles: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.of(0, 0, rectangles.length >> 8, rectangles.length & 255), ...rectangles]);
}

function rectangle(
  [x, y, width, height]: readonly [number, number, number, number],
  encoding: number,
  pixel: readonly number[] = [],
): Buffer {
  const head = Buffer.alloc(12);
  for (const [index, value] of [x, y, width, height].entries()) head.writeUInt16BE(value, index * 2);
  head.writeInt32BE(encoding, 8);
  return Buffer.concat([
    head,
    ...Array.from({ length: encoding === 0 ? width * height : 0 }, () => Buffer.from(pixel)),
  ]);
}

const RED = [255, 1, 2, 99];
const GREEN = [3, 254, 4, 99];
const BELL = Buffer.of(2);
const TEXT = Buffer.concat([Buffer.of(3, 0, 0, 0, 0, 0, 0, 5), Buffer.from('hello')]);
const COLOURS = Buffer.concat([Buffer.of(1, 0, 0, 0, 0, 2), Buffer.alloc(12)]);

test('a picture is put together of what comes, and is a PNG', async (t) => {
  const { client, server } = await opened(t);
  const picture = client.picture();
  server.write(Buffer.concat([BELL, TEXT, COLOURS, update(rectangle([0, 0, 4, 1], 0, RED)), BELL]));
  server.write(update(rectangle([0, 1, 1, 2], 0, RED), rectangle([1, 1, 3, 2], 0, GREEN)));
  const pixels = await picture;
  assert.deepEqual([...pixels.rgb.subarray(12, 18)], [255, 1, 2, 3, 254, 4]);
  assert.deepEqual(
    coloursOf(await pngOf(pixels)),
    new Map([
      ['#ff0102', 6],
      ['#03fe04', 6],
    ]),
  );
});

test('a picture is of the new size when the size changes meanwhile', async (t) => {
  const { client, server } = await opened(t);
  const picture = client.picture();
  // What still comes of the old one is nowhere.
  server.write(update(rectangle([0, 0, 2, 2], -223), rectangle([0, 0, 2, 1], 0, RED)));
  server.write(update(rectangle([0, 0, 2, 2], 0, GREEN)));
  const { width, height, rgb } = await picture;
  assert.deepEqual([width, height, rgb.length], [2, 2, 12]);
});

for (const [what, said, fault, message] of [
  ['pixels beside its screen', update(rectangle([1, 0, 4, 1], 0, RED)), 'protocol', /at 1,0 that are 4x1, beside/],
  [
    'pixels that are packed',
    update(rectangle([0, 0, 4, 3], 16)),
    'protocol',
    /encoding 16, which nobody has asked for/,
  ],
  ['a huge size', update(rectangle([0, 0, 65535, 2], -223)), 'bound', /a screen of 65535x2/],
  ['a size of nothing', update(rectangle([0, 0, 0, 2], -223)), 'bound', /a screen of 0x2/],
  [
    'new sizes again and again',
    Buffer.concat(Array(9).fill(update(rectangle([0, 0, 4, 3], -223)))),
    'bound',
    /all the time/,
  ],
  ['an endless text', Buffer.of(3, 0, 0, 0, 255, 255, 255, 255), 'bound', /more than it was asked for/],
  ['bells without an end', Buffer.alloc(2 << 20, BELL), 'bound', /more than it was asked for/],
  ['updates of nothing', Buffer.concat(Array(300_000).fill(update())), 'bound', /more than it was asked for/],
  ['something unknown', Buffer.of(77), 'protocol', /of the unknown type 77/],
  ['half a picture, and nothing more', update(rectangle([0, 0, 4, 1], 0, RED)), 'timeout', /stands still/],
] as const satisfies readonly (readonly [string, Buffer, RfbFault, RegExp])[])
  test(`a server that sends ${what} is left`, async (t) => {
    const { client, server } = await opened(t);
    const picture = client.picture();
    server.write(said);
    await assert.rejects(picture, (error: Error) => {
      assert.ok(error instanceof RfbError, String(error));
      assert.equal(error.fault, fault, error.message);
      assert.match(error.message, message);
      return true;
    });
    assert.ok(client.isOver);
  });
