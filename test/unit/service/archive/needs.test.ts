/** How much room members of an archive are said to take, by the blocks of the file system. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Member } from '../../../../src/service/archive/members.js';
import { Needs } from '../../../../src/service/archive/needs.js';

const FILE: Member = {
  name: 'state/layers/upper/file',
  link: '',
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 1,
  holes: undefined,
  mtime: '0',
  device: [0, 0],
  attributes: new Map(),
  accessLists: new Map(),
};

function bytesOf(block: number, change: Partial<Member>): number {
  const needs = new Needs(block);
  needs.add({ ...FILE, ...change });
  return needs.bytes;
}

/** What a file's content takes: its name and inode are there without it, too. */
const contentOf = (block: number, change: Partial<Member> = {}) => bytesOf(block, change) - bytesOf(block, { size: 0 });

describe('what a file takes', () => {
  it('is a whole number of blocks', () => {
    assert.equal(contentOf(4096), 4096);
    assert.equal(contentOf(4096, { size: 4097 }), 8192);
    assert.equal(contentOf(512, { size: 513 }), 1024);
  });

  it('has no blocks as large as the largest records of ZFS, or what NFS sends at once', () => {
    assert.equal(contentOf(65_536), 65_536);
    for (const block of [131_072, 1 << 20, 16 << 20]) {
      assert.equal(contentOf(block), 4096, String(block));
      assert.equal(contentOf(block, { size: 131_073 }), 33 * 4096, String(block));
    }
  });

  it('has blocks where the file system names none', () => assert.equal(contentOf(0), 4096));

  it('leaves out its holes', () => {
    const parts = [0, 1, 2 ** 30, 4097];
    const holes = { realSize: 2 ** 31, parts };
    assert.equal(contentOf(4096, { size: 4098, holes }), 3 * 4096);
    assert.equal(contentOf(1 << 20, { size: 4098, holes }), 3 * 4096);
  });

  it('is an inode, but not for another name of one', () => {
    const needs = new Needs(4096);
    needs.add(FILE);
    needs.add({ ...FILE, name: 'state/layers/upper/other', type: 'link', link: FILE.name });
    assert.equal(needs.inodes, 1);
    assert.ok(needs.bytes - bytesOf(4096, {}) < 4096);
  });
});
