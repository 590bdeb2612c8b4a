/** Kernel files: what is identified is unpacked, shrunk to what a loader reads, and still the same kernel. */
import assert from 'node:assert/strict';
import { hasPvhEntry, segmentsOf } from '../../../src/kernel/elf.js';
import { identifyKernel } from '../../../src/kernel/identify.js';
import type { SparseFile } from '../../../src/kernel/slim.js';
import { unpackKernel } from '../../../src/kernel/unpack.js';
import { SandboxError } from '../../../src/util/errors.js';
import { settledOrRefused } from './support/expect.js';
import { putFile } from './support/memory-files.js';
import type { Target } from './support/target.js';

/** The file that is written; undefined if it is too large for a comparison. */
function assembled({ size, chunks }: SparseFile): Buffer | undefined {
  if (size > 1 << 20) return undefined;
  const file = Buffer.alloc(size);
  for (const { position, data } of chunks) {
    assert.ok(position + data.length <= size, 'a part is behind the end of the file');
    data.copy(file, position);
  }
  return file;
}

/** What a loader does with the shrunk kernel is what it does with the whole one. */
function requireSameKernel(file: Buffer): void {
  const segments = segmentsOf(file);
  assert.ok(segments.every(({ offset, fileSize }) => offset + fileSize <= file.length));
  assert.ok(hasPvhEntry(file, segments), 'the entry of the kernel is lost');
}

export const target: Target = {
  kind: 'async',
  mostBytes: 8192,
  quickRuns: 2000,
  async read(data) {
    const file = await settledOrRefused(identifyKernel(putFile('kernel', data)), SandboxError);
    if (file === undefined) return;
    assert.ok(file.size <= data.length);
    const boot = await settledOrRefused(unpackKernel(file, data.subarray(0, file.size)), SandboxError);
    const whole = boot && assembled(boot.content);
    if (boot?.name === 'vmlinux' && whole !== undefined) requireSameKernel(whole);
  },
};
