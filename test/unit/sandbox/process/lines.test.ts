/** Lines of a stream that comes in pieces, also from a guest that ends none. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { linesOf } from '../../../../src/sandbox/process/lines.js';

const TOO_LONG = new Error('too long');

async function lines(pieces: readonly (string | Buffer)[], most = 1000): Promise<string[]> {
  const found: string[] = [];
  const stream = Readable.from(pieces.map((piece) => Buffer.from(piece)));
  for await (const line of linesOf(stream, most, () => TOO_LONG)) found.push(line);
  return found;
}

test('lines end with LF or CR LF, and what follows the last end is one too', async () => {
  for (const [text, expected] of [
    ['', []],
    ['\n', ['']],
    ['a\nb\n', ['a', 'b']],
    ['a\n\n\nb', ['a', '', '', 'b']],
    ['a\r\nb\rc\r\n\r\n', ['a', 'b\rc', '']],
    ['a\r', ['a\r']],
    ['ä€😀\nß', ['ä€😀', 'ß']],
  ] as const) {
    assert.deepEqual(await lines([text]), expected);
    // Each byte by itself: ends and characters come in parts.
    const bytes = Array.from(Buffer.from(text), (byte) => Buffer.of(byte));
    assert.deepEqual(await lines(bytes), expected);
  }
});

test('bytes that are no UTF-8 are replaced', async () => {
  assert.deepEqual(await lines([Buffer.of(0x61, 0xff, 0x0a, 0xc3)]), ['a\ufffd', '\ufffd']);
});

test('a longer line than is allowed is an error, in whatever pieces it comes', async () => {
  assert.deepEqual(await lines(['12345\n12345'], 5), ['12345', '12345']);
  for (const pieces of [['123456\n'], ['123456'], ['12345', '6'], ['1\n123', '456\n'], Array(1000).fill('x')])
    await assert.rejects(lines(pieces, 5), TOO_LONG);
});

test('leaving the loop ends the stream', async () => {
  const stream = Readable.from([Buffer.from('a\nb\n'), Buffer.from('c\n')]);
  for await (const line of linesOf(stream, 10, () => TOO_LONG)) {
    assert.equal(line, 'a');
    break;
  }
  assert.ok(stream.destroyed);
});
