/** cpio archives, as an initrd has them: what is read encodes to an archive that reads the same. */
import assert from 'node:assert/strict';
import { isNewc, printable } from '../../../src/image/archive/newc.js';
import { finalEntries, plainPath, readArchives } from '../../../src/image/archive/read.js';
import { type ArchiveEntry, ArchiveError } from '../../../src/image/archive/types.js';
import { SandboxError } from '../../../src/util/errors.js';
import { settledOrRefused } from './support/expect.js';
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
  kind: 'async',
  mostBytes: 4096,
  quickRuns: 10_000,
  repeats: true,
  async read(data) {
    if (!isNewc(data, 0)) return;
    const archives = await settledOrRefused(readArchives(data), ArchiveError, SandboxError);
    if (archives === undefined) return;
    for (const { entries } of archives) {
      const [again] = await readArchives(Buffer.concat([...entries.map(encode), END]));
      assert.deepEqual(again?.entries, entries);
    }
    for (const [path, { name }] of finalEntries(archives)) {
      assert.equal(plainPath(path), path);
      assert.equal(path, plainPath(name));
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
      assert.doesNotMatch(printable(name), /[\u0000-\u001f\u007f-\u009f]/);
    }
  },
};
