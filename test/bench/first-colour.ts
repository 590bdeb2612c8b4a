/** When a program has drawn on a screen, as a viewer of VNC sees it. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { begin, type Input, unasked } from '../helpers/rfb.js';

const RAW = 0;

/** Of the middle of the screen, in pixels: QEMU draws so little at once, and the machine goes on meanwhile. */
const SIDE = 64;

/** Between two looks, in milliseconds. QEMU answers at most every 30 ms. */
const LOOK_MS = 10;

/**
 * Until the middle of the screen is not black all over, as it is without a program.
 * @param path of the socket of the screen
 */
export async function untilColoured(path: string): Promise<void> {
  const input = await unasked(path);
  try {
    const { width, height } = await begin(input);
    input.socket.write(Buffer.of(2, 0, 0, 1, 0, 0, 0, RAW));
    const ask = Buffer.alloc(10);
    ask.writeUInt8(3);
    for (const [at, value] of [(width - SIDE) >> 1, (height - SIDE) >> 1, SIDE, SIDE].entries())
      ask.writeUInt16BE(value, 2 + 2 * at);
    for (;;) {
      input.socket.write(ask);
      if (await isColoured(input)) return;
      await delay(LOOK_MS);
    }
  } finally {
    input.socket.destroy();
  }
}

/** The next update. The pixels are QEMU's own: 32 bits, of which one byte is padding. */
async function isColoured(input: Input): Promise<boolean> {
  assert.equal((await input.read(1))[0], 0, 'what comes is an update');
  const rectangles = (await input.read(3)).readUInt16BE(1);
  let isOne = false;
  for (let number = 0; number < rectangles; number += 1) {
    const head = await input.read(12);
    assert.equal(head.readInt32BE(8), RAW);
    const pixels = await input.read(head.readUInt16BE(4) * head.readUInt16BE(6) * 4);
    isOne ||= pixels.some((byte, at) => at % 4 !== 3 && byte !== 0);
  }
  return isOne;
}
