/** ELF kernels whose sizes are made up: each is refused or booted as it is, and no walk over them is endless. */

import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { identifyKernel } from '../../../src/kernel/identify.js';
import { rejectsWith } from '../../helpers/errors.js';
import { makeBzImage, makePayload, makeVmlinux, note, PVH_NOTE } from '../../helpers/kernel-files.js';
import { scratchDirectory } from '../../helpers/scratch.js';

/** How long a walk may take, in milliseconds. It takes one. */
const WALK_MS = 60_000;

/**
 * Unpacks the kernel `data` in a thread that has little memory, since a walk that is endless and keeps what it finds
 * would take all of it.
 *
 * @returns the name of the boot file, or the code of the error
 */
async function unpackInThread(context: TestContext, data: Buffer): Promise<string> {
  const path = join(scratchDirectory(context), 'kernel');
  writeFileSync(path, data);
  const url = (name: string) => JSON.stringify(new URL(`../../../src/kernel/${name}.js`, import.meta.url).href);
  const worker = new Worker(
    `(async () => {
      const { parentPort, workerData } = require('node:worker_threads');
      const { identifyKernel } = await import(${url('identify')});
      const { readKernel } = await import(${url('copy')});
      const { unpackKernel } = await import(${url('unpack')});
      const file = await identifyKernel(workerData);
      const result = readKernel(file).then((bytes) => unpackKernel(file, bytes));
      parentPort.postMessage(await result.then(({ name }) => name, ({ code }) => String(code)));
    })()`,
    { eval: true, workerData: path, resourceLimits: { maxOldGenerationSizeMb: 64 } },
  );
  return new Promise<string>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('the walk is endless')), WALK_MS);
    context.after(() => {
      clearTimeout(late);
      return worker.terminate();
    });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (status) => reject(new Error(`the thread ended with status ${status}`)));
  });
}

/** A header of a note that claims these sizes, and nothing else. */
function noteClaiming(ownerSize: number, valueSize: number): Buffer {
  const data = Buffer.alloc(12);
  data.writeUInt32LE(ownerSize, 0);
  data.writeUInt32LE(valueSize, 4);
  return data;
}

const CLAIMS: readonly (readonly [ownerSize: number, valueSize: number])[] = [
  // As signed numbers, their sum is -12: the walk would stay where it is.
  [0x8000_0000, 0x7fff_fff4],
  [0x7fff_fff4, 0x8000_0000],
  // It would go back to the note before.
  [0x8000_0000, 0x7fff_ffdc],
  [0x8000_0000, 0],
  [0, 0x8000_0000],
  [0xffff_fffd, 0xffff_fffd],
  [0xffff_ffff, 0xffff_ffff],
];

for (const [ownerSize, valueSize] of CLAIMS) {
  const claim = `a note that claims 0x${ownerSize.toString(16)} and 0x${valueSize.toString(16)} bytes`;
  const notes = Buffer.concat([note('Linux', 257, Buffer.alloc(4)), noteClaiming(ownerSize, valueSize), PVH_NOTE]);
  const vmlinux = makeVmlinux({ version: '6.1.0', notes });

  test(`${claim} ends the search for a PVH entry`, async (context) => {
    assert.equal(await unpackInThread(context, vmlinux), 'kernel-not-bootable');
  });

  test(`${claim}, inside a bzImage`, async (context) => {
    const kernel = makeBzImage({ version: '6.1.0', payload: makePayload('gzip', vmlinux) });
    assert.equal(await unpackInThread(context, kernel), 'kernel');
  });
}

test('a PVH entry behind other notes is found', async (context) => {
  const notes = Buffer.concat([note('GNU', 3, Buffer.alloc(21)), noteClaiming(0, 0), PVH_NOTE]);
  assert.equal(await unpackInThread(context, makeVmlinux({ version: '6.1.0', notes })), 'vmlinux');
});

test('a note segment of megabytes is not searched to its end', async (context) => {
  const notes = Buffer.concat([Buffer.alloc(12 * 700_000), PVH_NOTE]);
  const vmlinux = makeVmlinux({ version: '6.1.0', textSize: 9 << 20, notes });
  assert.equal(await unpackInThread(context, vmlinux), 'kernel-not-bootable');
});

test('loadable segments that overlap are refused', async (context) => {
  const vmlinux = makeVmlinux({ version: '6.1.0' });
  const header = (index: number) => Buffer.from(vmlinux.subarray(64 + index * 56, 64 + (index + 1) * 56));
  const [text, notes] = [header(0), header(2)];
  // The notes once, and the text five times.
  Buffer.concat([notes, text, text, text, text, text]).copy(vmlinux, 64);
  vmlinux.writeUInt16LE(6, 56);
  assert.equal(await unpackInThread(context, vmlinux), 'kernel-damaged');
});

test('a sparse file of terabytes is refused before it is read', async (context) => {
  const directory = scratchDirectory(context);
  const bzImage = join(directory, 'bzImage');
  writeFileSync(bzImage, makeBzImage({ version: '6.1.0', payload: Buffer.alloc(1000) }));
  truncateSync(bzImage, 2 ** 40);
  await rejectsWith(identifyKernel(bzImage), 'kernel-not-a-kernel', /too large/);
  const elf = join(directory, 'vmlinux');
  const vmlinux = makeVmlinux({ version: '6.1.0' });
  // The size of the last loadable segment in the file.
  vmlinux.writeBigUInt64LE(2n ** 39n, 64 + 56 + 32);
  writeFileSync(elf, vmlinux);
  truncateSync(elf, 2 ** 40);
  await rejectsWith(identifyKernel(elf), 'kernel-not-a-kernel', /too large/);
});
