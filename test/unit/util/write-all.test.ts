/** All is written, or there is an error. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { writeAll } from '../../../src/util/write-all.js';

/** A file in memory that takes so many bytes at a time. */
function fileThatTakes(...counts: readonly number[]) {
  const content = Buffer.alloc(20, '.');
  let calls = 0;
  const write = async (data: Uint8Array, offset: number, length: number, position: number) => {
    const bytesWritten = Math.min(length, counts[calls] ?? 0);
    calls += 1;
    content.set(data.subarray(offset, offset + bytesWritten), position);
    return { bytesWritten };
  };
  return { write, text: () => content.toString('latin1') };
}

describe('writing all', () => {
  it('goes on where a file has taken less', async () => {
    const file = fileThatTakes(3, 1, 100);
    await writeAll(file, Buffer.from('0123456789'), 5);
    assert.equal(file.text(), '.....0123456789.....');
  });

  it('fails when a file takes nothing', async () => {
    const file = fileThatTakes(3, 0, 100);
    await assert.rejects(writeAll(file, Buffer.from('0123456789'), 5), { code: 'ENOSPC' });
    assert.equal(file.text(), '.....012............');
  });
});
