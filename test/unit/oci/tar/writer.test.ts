/** The writer of tar headers: what does not fit is an error, and not another header. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { headerBlocks } from '../../../../src/oci/tar/writer.js';

const FIELDS = {
  name: 'n',
  type: 'block',
  link: '',
  mode: 0o600,
  uid: 0,
  gid: 0,
  mtime: 0,
  size: 0,
  major: 1,
  minor: 2,
  xattrs: undefined,
} as const;

describe('a header', () => {
  it('has no prefix of a name, whatever its numbers are', () => {
    const blocks = headerBlocks({ ...FIELDS, major: 0o7777777, minor: 0o7777777, uid: 2 ** 32 - 2, mtime: 2 ** 40 });
    assert.ok(blocks.subarray(-512).subarray(345, 500).equals(Buffer.alloc(155)));
  });

  for (const [what, fields] of [
    ['a large minor number', { minor: 0o10000000 }],
    ['a huge minor number', { minor: 2 ** 52 }],
    ['a negative major number', { major: -1 }],
    ['a large mode', { mode: 2 ** 40 }],
  ] as const)
    it(`is not written with ${what}`, () => {
      assert.throws(() => headerBlocks({ ...FIELDS, ...fields }), RangeError);
    });
});
