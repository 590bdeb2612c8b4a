/** What the streams of a process keep: output in the smallest pieces, and input that nobody takes any more. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, test } from 'node:test';
import { OutputStream } from '../../../src/protocol/output.js';
import { GuestProcess } from '../../../src/protocol/process.js';
import { OUTPUT_WINDOW_BYTES, STDIN_WINDOW_BYTES } from '../../../src/protocol/wire.js';

const MIB = 1 << 20;

test('output in pieces of a byte is kept in one piece', async () => {
  const output = new OutputStream(() => {});
  // A list of them would take a hundred times as much memory.
  for (let at = 0; at < OUTPUT_WINDOW_BYTES; at += 1) output.write(Buffer.of(at % 251));
  assert.equal(output.readable.readableLength, 0);
  output.end();
  const pieces: Buffer[] = [];
  output.readable.on('data', (piece: Buffer) => pieces.push(piece));
  await once(output.readable, 'end');
  assert.equal(pieces.length, 1);
  assert.ok(pieces[0]?.equals(Buffer.from(Array.from({ length: OUTPUT_WINDOW_BYTES }, (_, at) => at % 251))));
});

describe('stdin of gigabytes is discarded, and none of it kept,', () => {
  const PIECE = Buffer.alloc(MIB);
  const PIECES = 4096;

  /** @param end is called when the window is full @returns how many bytes were sent to the guest */
  async function flood(end: (process: GuestProcess) => void): Promise<number> {
    let sent = 0;
    const count = (_process: number, bytes: Uint8Array) => {
      sent += bytes.length;
      if (sent === STDIN_WINDOW_BYTES) setImmediate(() => end(process));
    };
    const process = new GuestProcess({ data: count, acknowledge: () => {} });
    process.started(1);
    let most = 0;
    const source = Readable.from(
      (function* () {
        for (let at = 0; at < PIECES; at += 1) {
          yield PIECE;
          most = Math.max(most, process.stdin.writableLength);
        }
      })(),
    );
    await pipeline(source, process.stdin);
    assert.ok(most <= 3 * MIB, `${most} bytes were kept`);
    return sent;
  }

  test('if the process has ended', async () => {
    const sent = await flood((process) => process.ended({ status: 0, timedOut: false, drained: 0, finished: 0 }));
    assert.equal(sent, STDIN_WINDOW_BYTES);
  });

  test('if there is none', async () => {
    assert.equal(await flood((process) => process.isNone()), STDIN_WINDOW_BYTES);
  });
});
