/** Where inodes lie in an image. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BLOCK, FIRST_INODE, UNIT } from '../../../../src/oci/erofs/format.js';
import { InodeRoom, OPEN_BLOCKS } from '../../../../src/oci/erofs/inode-room.js';

const UNITS = BLOCK / UNIT;

describe('the room of inodes', () => {
  /** Lengths as of an image: most are small. Each hundredth is longer than a block. */
  const lengths = Array.from({ length: 20_000 }, (_, at) =>
    at % 100 === 99 ? BLOCK + ((at * 7919) % 300_000) : 64 + ((at * 7919) % (at % 3 === 0 ? 4033 : 1000)),
  );

  it('begins behind the superblock', () => {
    assert.equal(new InodeRoom().take(64), FIRST_INODE);
  });

  it('is given out once, within one block or from the beginning of one, and before its last block is final', () => {
    const room = new InodeRoom();
    const taken = new Set<number>();
    let most = 0;
    for (const length of lengths) {
      const first = room.take(length);
      const units = Math.ceil(length / UNIT);
      if (units > UNITS) assert.equal(first % UNITS, 0);
      else assert.equal(Math.floor(first / UNITS), Math.floor((first + units - 1) / UNITS));
      for (let at = first; at < first + units; at += 1) {
        assert.ok(at >= FIRST_INODE && !taken.has(at));
        taken.add(at);
      }
      most = Math.max(most, first + units);
      assert.ok(Math.floor(first / UNITS) > (most - 1) / UNITS - OPEN_BLOCKS - 1 || units > UNITS);
      assert.ok(room.blocks * UNITS >= most);
    }
  });

  it('wastes little', () => {
    const room = new InodeRoom();
    const small = lengths.filter((length) => length <= BLOCK);
    for (const length of small) room.take(length);
    const used = small.reduce((sum, length) => sum + UNIT * Math.ceil(length / UNIT), 0);
    assert.ok(room.blocks * BLOCK < 1.03 * used, `${(room.blocks * BLOCK) / used}`);
  });
});
