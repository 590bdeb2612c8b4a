/** The size that a card says its screen wants. The content is what QEMU's card said, for sizes that a viewer asked for. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { wantedSize } from '../../../../src/sandbox/screen/edid.js';

/** A first block with that timing, and the extensions after it. */
function edid(timing: string, ...extensions: readonly string[]): Buffer {
  const blocks = Buffer.alloc(128 * (1 + extensions.length));
  blocks.write(timing, 54, 'hex');
  for (const [index, text] of extensions.entries()) blocks.write(text, 128 * (index + 1), 'hex');
  return blocks;
}

/** A section of DisplayID with one timing: its first four bytes say how often and how. */
function displayId(width: number, height: number): string {
  const timing = Buffer.alloc(20);
  timing.writeUInt16LE(width - 1, 4);
  timing.writeUInt16LE(height - 1, 12);
  return `7013170000030014${timing.toString('hex')}`;
}

const NONE = '000000f7000a004082002820000000000000';

describe('what a card says of its screen', () => {
  for (const [timing, width, height] of [
    ['ea2900c051201c304026444045cb10000018', 1280, 800],
    ['c61ce95e31bf1820fa1e3300feb200000018', 1001, 703],
    ['3004407010400b1050091100515100000018', 320, 320],
  ] as const)
    it(`is ${width}x${height}`, () => {
      assert.deepEqual(wantedSize(edid(timing)), { width, height });
    });

  it('is in DisplayID where EDID has no bits for it', () => {
    assert.deepEqual(wantedSize(edid(NONE, displayId(4095, 4000))), { width: 4095, height: 4000 });
    assert.deepEqual(wantedSize(edid(NONE, '02', displayId(3840, 2160))), { width: 3840, height: 2160 });
  });

  for (const [what, bytes] of [
    ['nothing', Buffer.alloc(0)],
    ['half a block', Buffer.alloc(127, 0xff)],
    ['no timing', edid(NONE)],
    ['one of 1x1', edid('000001000001000000000000000000000018')],
    ['one that is too wide', edid(NONE, displayId(4096, 800))],
    ['one that is too high', edid(NONE, displayId(800, 65_536))],
    ['a section that ends too early', edid(NONE, displayId(4095, 4000)).subarray(0, 128 + 20)],
    ['sections that go on and on', Buffer.concat([edid(NONE), Buffer.alloc(1920, 0x70)])],
  ] as const)
    it(`is nothing with ${what}`, () => {
      assert.equal(wantedSize(bytes), undefined);
    });
});
