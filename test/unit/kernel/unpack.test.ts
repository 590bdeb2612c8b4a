/** Unpacking a kernel for a direct boot: every packer, damage, and kernels that boot as they are. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { unpackLz4, unpackLz4Part } from '../../../src/compression/lz4.js';
import { sha256 } from '../../../src/image/manifest.js';
import { hashSparse, readKernel, writeSparse } from '../../../src/kernel/copy.js';
import { hasPvhEntry, segmentsOf } from '../../../src/kernel/elf.js';
import { identifyKernel } from '../../../src/kernel/identify.js';
import type { SparseFile } from '../../../src/kernel/slim.js';
import { type BootFile, unpackKernel } from '../../../src/kernel/unpack.js';
import { rejectsWith } from '../../helpers/errors.js';
import {
  flipByte,
  makeBzImage,
  makeKernel,
  makePayload,
  makeVmlinux,
  noise,
  type Packer,
  packWith,
  unlessPacker,
} from '../../helpers/kernel-files.js';
import {
  DEBIAN_CLOUD_KERNEL,
  DEBIAN_KERNEL,
  installedKernelPath,
  scratchDirectory,
  unlessInstalled,
} from '../../helpers/scratch.js';

const PACKERS: readonly Packer[] = ['none', 'gzip', 'xz', 'zstd', 'lz4', 'lzo'];

async function unpackFile(path: string): Promise<BootFile> {
  const file = await identifyKernel(path);
  return unpackKernel(file, await readKernel(file));
}

async function unpackBytes(context: TestContext, data: Buffer): Promise<BootFile> {
  const path = join(scratchDirectory(context), 'vmlinuz');
  writeFileSync(path, data);
  return unpackFile(path);
}

/** A sparse file as one buffer. */
function flatten(file: SparseFile): Buffer {
  const whole = Buffer.alloc(file.size);
  for (const { position, data } of file.chunks) data.copy(whole, position);
  return whole;
}

/** The memory that a loader fills, by physical address; the zeros at the end of each segment are left out. */
function memoryOf(elf: Buffer): Map<bigint, string> {
  return new Map(
    segmentsOf(elf)
      .filter((segment) => segment.type === 1)
      .map((segment) => {
        const memory = Buffer.alloc(segment.memorySize);
        elf.copy(memory, 0, segment.offset, segment.offset + segment.fileSize);
        return [segment.physicalAddress, `${segment.virtualAddress} ${segment.memorySize} ${sha256(memory)}`];
      }),
  );
}

for (const packer of PACKERS) {
  test(`a kernel packed with ${packer} is unpacked, and loads to the same memory`, {
    skip: unlessPacker(packer),
  }, async (context) => {
    // More than one block of lz4, with a stretch that packs well.
    const vmlinux = makeVmlinux({ version: '6.1.0', textSize: packer === 'lz4' ? 9 << 20 : 2 << 20 });
    Buffer.alloc(1 << 20, 'a stretch that packs well ').copy(vmlinux, 0x10000);
    const boot = await unpackBytes(context, makeBzImage({ version: '6.1.0', payload: makePayload(packer, vmlinux) }));
    assert.equal(boot.name, 'vmlinux');
    const slim = flatten(boot.content);
    assert.deepEqual(memoryOf(slim), memoryOf(vmlinux));
    assert.ok(hasPvhEntry(slim, segmentsOf(slim)));
    assert.ok(slim.length < vmlinux.length - 40_000, 'zeros and section headers are gone');
    assert.deepEqual(slim.subarray(24, 32), vmlinux.subarray(24, 32), 'the entry point stays');
  });
}

for (const version of [DEBIAN_KERNEL, DEBIAN_CLOUD_KERNEL]) {
  test(`the installed kernel ${version} is unpacked`, { skip: unlessInstalled(version) }, async () => {
    const boot = await unpackFile(installedKernelPath(version));
    assert.equal(boot.name, 'vmlinux', boot.reason);
    const slim = flatten(boot.content);
    const segments = segmentsOf(slim);
    assert.ok(hasPvhEntry(slim, segments));
    assert.ok(slim.includes(`Linux version ${version} (`));
    for (const segment of segments) {
      assert.ok(segment.offset + segment.fileSize <= slim.length);
      if (segment.type === 1) assert.equal(BigInt(segment.offset) & 0xfffn, segment.virtualAddress & 0xfffn);
    }
  });
}

test('an ELF kernel is taken without the data after its segments', async (context) => {
  const vmlinux = makeVmlinux({ version: '6.1.0' });
  const boot = await unpackBytes(context, Buffer.concat([vmlinux, noise(50_000, 'debug')]));
  assert.equal(boot.name, 'vmlinux');
  assert.deepEqual(memoryOf(flatten(boot.content)), memoryOf(vmlinux));
});

test('a kernel without a PVH entry is booted unchanged', async (context) => {
  const data = makeKernel('6.1.0', 'gzip', { pvh: false });
  const boot = await unpackBytes(context, data);
  assert.equal(boot.name, 'kernel');
  assert.match(boot.reason, /no PVH entry/);
  assert.ok(flatten(boot.content).equals(data));
});

test('a kernel with an unknown packer is booted unchanged', async (context) => {
  const data = makeBzImage({ version: '6.1.0', payload: Buffer.concat([Buffer.from('BZh9'), noise(5000, 'bzip2')]) });
  const boot = await unpackBytes(context, data);
  assert.equal(boot.name, 'kernel');
  assert.ok(flatten(boot.content).equals(data));
});

test('a kernel whose boot protocol is too old to locate the payload', async (context) => {
  const data = makeBzImage({
    version: '6.1.0',
    payload: makePayload('gzip', makeVmlinux({ version: '6.1.0' })),
    protocol: 0x207,
  });
  // Such a kernel also has no load flags, so it does not count as an x86_64 kernel.
  await rejectsWith(unpackBytes(context, data), 'kernel-architecture');
});

test('an ELF kernel without a PVH entry cannot be booted, and the error names what can', async (context) => {
  const work = unpackBytes(context, makeVmlinux({ version: '6.1.0', pvh: false }));
  await rejectsWith(work, 'kernel-not-bootable', /without a PVH entry \(CONFIG_PVH\).*; name the bzImage/);
});

for (const packer of ['gzip', 'xz', 'zstd', 'lzo'] as const) {
  test(`a damaged ${packer} payload is detected`, { skip: unlessPacker(packer) }, async (context) => {
    const payload = makePayload(packer, makeVmlinux({ version: '6.1.0' }));
    const withSize = (size: number): Buffer => {
      const number = Buffer.alloc(4);
      number.writeUInt32LE(size);
      return Buffer.concat([payload.subarray(0, -4), number]);
    };
    const size = payload.readUInt32LE(payload.length - 4);
    const damage: [string, Buffer][] = [
      ['a changed byte', flipByte(payload, payload.length >> 1)],
      ['a missing end', Buffer.concat([payload.subarray(0, -3000), payload.subarray(-4)])],
      ['an impossible size', withSize(0xfffffff0)],
      ['a size that is too small', withSize(size - 1)],
      ['a size that is too large', withSize(size + 1)],
    ];
    for (const [name, damaged] of damage) {
      const data = makeBzImage({ version: '6.1.0', payload: damaged });
      await rejectsWith(
        unpackBytes(context, data),
        'kernel-damaged',
        /vmlinuz is damaged: .*; install its package/,
      ).catch((error: Error) => {
        throw new Error(`${name}: ${error.message}`);
      });
    }
  });
}

test('bytes after the end of an lzo payload are detected', { skip: unlessPacker('lzo') }, async (context) => {
  const payload = makePayload('lzo', makeVmlinux({ version: '6.1.0' }));
  const longer = Buffer.concat([payload.subarray(0, -4), noise(8, 'behind'), payload.subarray(-4)]);
  const work = unpackBytes(context, makeBzImage({ version: '6.1.0', payload: longer }));
  await rejectsWith(work, 'kernel-damaged', /something follows the lzo data/);
});

test('a damaged lz4 payload fails at worst', { skip: unlessPacker('lz4') }, () => {
  // The legacy frame has no checksum, so a change may pass. It must not crash, hang, or write outside its buffer.
  const data = Buffer.concat([noise(3000, 'a'), Buffer.alloc(20_000, 'repeat '), noise(3000, 'b')]);
  const packed = packWith('lz4', data);
  assert.ok(unpackLz4(packed, data.length).equals(data));
  let failed = 0;
  for (let i = 0; i < packed.length; i += 3) {
    const changed = Buffer.from(packed);
    changed[i] = (changed[i] ?? 0) ^ (1 << (i % 8));
    try {
      assert.equal(unpackLz4(changed, data.length).length, data.length);
    } catch (error) {
      assert.match(String(error), /lz4/);
      failed++;
    }
  }
  assert.ok(failed > 10, `${failed} changes were noticed`);
  for (let size = 0; size < packed.length; size += 7) {
    assert.throws(() => unpackLz4(packed.subarray(0, size), data.length), /lz4/);
  }
});

test('lz4 is not asked for more than its data can hold', { skip: unlessPacker('lz4') }, () => {
  const zeros = Buffer.alloc(20 << 20);
  const packed = packWith('lz4', zeros);
  assert.ok(zeros.length / packed.length > 250, 'nothing packs better');
  assert.ok(unpackLz4(packed, zeros.length).equals(zeros));
  assert.ok(unpackLz4Part(packed, zeros.length).data.equals(zeros));
  assert.throws(() => unpackLz4(packed.subarray(0, 1000), 2 ** 40), /lz4 frame is too short to unpack to/);
});

test('lz4 unpacks several blocks as the lz4 tool packs them', { skip: unlessPacker('lz4') }, () => {
  const data = readFileSync(process.execPath).subarray(0, 20 << 20);
  assert.ok(unpackLz4(packWith('lz4', data), data.length).equals(data));
});

test('a sparse file on disk has the announced bytes, size and hash', async (context) => {
  const path = join(scratchDirectory(context), 'file');
  const content: SparseFile = {
    size: 50_000,
    chunks: [
      { position: 0, data: noise(100, 'a') },
      { position: 8192, data: noise(10_000, 'b') },
    ],
  };
  const file = await open(path, 'wx');
  await writeSparse(file, content);
  await file.close();
  const written = readFileSync(path);
  assert.ok(written.equals(flatten(content)));
  assert.equal(hashSparse(content), execFileSync('sha256sum', [path], { encoding: 'utf8' }).split(' ')[0]);
});
