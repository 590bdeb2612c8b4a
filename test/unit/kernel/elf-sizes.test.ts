/** ELF headers whose numbers do not fit into a number of JavaScript. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { readKernel } from '../../../src/kernel/copy.js';
import { segmentsOf } from '../../../src/kernel/elf.js';
import { identifyKernel } from '../../../src/kernel/identify.js';
import { unpackKernel } from '../../../src/kernel/unpack.js';
import { rejectsWith } from '../../helpers/errors.js';
import { makeBzImage, makePayload, makeVmlinux } from '../../helpers/kernel-files.js';
import { scratchDirectory } from '../../helpers/scratch.js';

/** Positions in the first program header. */
const FIELDS = { offset: 64 + 8, fileSize: 64 + 32, memorySize: 64 + 40 } as const;

function withField(at: number, value: bigint): Buffer {
  const elf = makeVmlinux({ version: '6.1.0' });
  elf.writeBigUInt64LE(value, at);
  return elf;
}

for (const [name, at] of Object.entries(FIELDS)) {
  it(`refuses a segment whose ${name} is above 2^53`, () => {
    for (const value of [2n ** 53n, 2n ** 64n - 1n])
      assert.throws(() => segmentsOf(withField(at, value)), { message: 'the ELF program headers are damaged' });
  });
}

it('says what is wrong with the kernel inside a bzImage', async (t) => {
  const path = join(scratchDirectory(t), 'vmlinuz');
  const elf = withField(FIELDS.memorySize, 2n ** 64n - 1n);
  writeFileSync(path, makeBzImage({ version: '6.1.0', payload: makePayload('none', elf) }));
  const file = await identifyKernel(path);
  const unpacking = unpackKernel(file, await readKernel(file));
  await rejectsWith(unpacking, 'kernel-damaged', /is damaged: the ELF program headers are damaged;/);
});
