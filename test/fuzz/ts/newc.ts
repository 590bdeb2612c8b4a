/** cpio archives, as an initrd has them: what is read encodes to an archive that reads the same. */
import assert from 'node:assert/strict';
import { isNewc, parseNewc, printable } from '../../../src/image/archive/newc.js';
import { finalEntries, plainPath } from '../../../src/image/archive/read.js';
import { type ArchiveEntry, ArchiveError } from '../../../src/image/archive/types.js';
import { valueOrRefusal } from './support/expect.js';
import type { Target } from './support/target.js';

const padded = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);

function encode(entry: ArchiveEntry): Buffer {
  const { mode, uid, gid, nlink, mtime, inode, rdevMajor, rdevMinor, data } = entry;
  const [major = 0, minor = 0, ino = 0] = inode.split(':').map(Number);
  const name = Buffer.from(`${entry.name}\0`, 'latin1');
  const fields = [ino, mode, uid, gid, nlink, mtime, data.length, major, minor, rdevMajor, rdevMinor, name.length, 0];
  const digits = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  return Buffer.concat([padded(Buffer.concat([Buffer.from(`070701${digits}`), name])), padded(data)]);
}

const END = encode({
  ...{ name: 'TRAILER!!!', type: 'unknown', mode: 0, uid: 0, gid: 0, nlink: 1, mtime: 0 },
  ...{ inode: '0:0:0', rdevMajor: 0, rdevMinor: 0, data: Buffer.alloc(0) },
});

export const target: Target = {
  kind: 'sync',
  mostBytes: 4096,
  quickRuns: 20_000,
  read(data) {
    if (!isNewc(data, 0)) return;
    const read = valueOrRefusal(() => parseNewc(data, 0), ArchiveError);
    if (read === undefined) return;
    assert.ok(read.end <= data.length);
    const again = parseNewc(Buffer.concat([...read.entries.map(encode), END]), 0);
    assert.deepEqual(again.entries, read.entries);
    const archive = { offset: 0, compression: 'none', entries: read.entries } as const;
    for (const [path, { name }] of finalEntries([archive])) {
      assert.equal(plainPath(path), path);
      assert.equal(path, plainPath(name));
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
      assert.doesNotMatch(printable(name), /[\u0000-\u001f\u007f-\u009f]/);
    }
  },
};
