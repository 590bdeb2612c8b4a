/** The format and version of a kernel, read from its file. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { readKernel } from '../../../src/kernel/copy.js';
import { identifyKernel } from '../../../src/kernel/identify.js';
import { rejectsWith } from '../../helpers/errors.js';
import { makeBzImage, makeKernel, makeVmlinux, noise } from '../../helpers/kernel-files.js';
import { buildAs } from '../../helpers/programs.js';
import {
  DEBIAN_CLOUD_KERNEL,
  DEBIAN_KERNEL,
  installedKernelPath,
  scratchDirectory,
  unlessInstalled,
  unlessRoot,
} from '../../helpers/scratch.js';

test("a bzImage's version comes from its header, whatever its name", async (context) => {
  const path = join(scratchDirectory(context), 'vmlinuz-9.9.9-wrong');
  writeFileSync(path, makeKernel('6.1.2-test+x'));
  const kernel = await identifyKernel(path);
  assert.equal(kernel.version, '6.1.2-test+x');
  assert.equal(kernel.format, 'bzimage');
});

for (const version of [DEBIAN_KERNEL, DEBIAN_CLOUD_KERNEL]) {
  test(`the installed kernel ${version}`, { skip: unlessInstalled(version) }, async () => {
    const kernel = await identifyKernel(installedKernelPath(version));
    assert.equal(kernel.version, version);
    assert.equal(kernel.format, 'bzimage');
    assert.ok((kernel.payload?.length ?? 0) > 5e6);
  });
}

test("an ELF kernel's version comes from its banner, and data after its segments does not matter", async (context) => {
  const path = join(scratchDirectory(context), 'vmlinux');
  const elf = makeVmlinux({ version: '6.2.0-elf' });
  writeFileSync(path, Buffer.concat([elf, noise(100_000, 'debug information')]));
  const kernel = await identifyKernel(path);
  assert.equal(kernel.version, '6.2.0-elf');
  assert.equal(kernel.format, 'elf');
  assert.ok(kernel.size <= elf.length);
});

test('a kernel that does not exist', async (context) => {
  const path = join(scratchDirectory(context), 'nothing');
  await rejectsWith(identifyKernel(path), 'kernel-not-found', /nothing does not exist; .*--kernpath/);
  await rejectsWith(identifyKernel('/dev/null/x'), 'kernel-not-found');
});

test('an unreadable kernel', { skip: unlessRoot('it becomes another user') }, (context) => {
  const directory = scratchDirectory(context);
  const path = join(directory, 'vmlinuz-6.1.0');
  writeFileSync(path, makeKernel('6.1.0'));
  chmodSync(path, 0o600);
  const [program, ...args] = buildAs('nobody', {
    kernel: { path },
    storeDirectory: join(directory, 'store'),
    nativeInit: '/bin/true',
    sets: [],
  });
  const answer = JSON.parse(execFileSync(program, args, { encoding: 'utf8' })) as { code: string; line: string };
  assert.equal(answer.code, 'kernel-unreadable');
  assert.match(answer.line, /^kernel: kernel .*vmlinuz-6\.1\.0 may not be read by this user; .*chmod a\+r/);
});

test('a bzImage truncated anywhere after its header', async (context) => {
  const path = join(scratchDirectory(context), 'vmlinuz');
  const whole = makeKernel('6.1.0');
  for (const size of [whole.length - 1, whole.length - 500, 5000, 2560, 0x250]) {
    writeFileSync(path, whole.subarray(0, size));
    await rejectsWith(identifyKernel(path), 'kernel-truncated', /vmlinuz is truncated; install/);
  }
});

test('a bzImage with a signature at its end is complete', async (context) => {
  const path = join(scratchDirectory(context), 'vmlinuz');
  writeFileSync(path, Buffer.concat([makeKernel('6.1.0'), noise(1472, 'signature')]));
  assert.equal((await identifyKernel(path)).version, '6.1.0');
});

test('a truncated ELF kernel', async (context) => {
  const path = join(scratchDirectory(context), 'vmlinux');
  writeFileSync(path, makeVmlinux({ version: '6.1.0' }).subarray(0, 90_000));
  await rejectsWith(identifyKernel(path), 'kernel-truncated');
});

test('files that are not kernels', async (context) => {
  const directory = scratchDirectory(context);
  const path = join(directory, 'file');
  const elf = makeVmlinux({ version: '6.1.0' });
  const cases: [string, Buffer][] = [
    ['empty', Buffer.alloc(0)],
    ['text', Buffer.from('#!/bin/sh\n'.repeat(1000))],
    ['noise', noise(300_000, 'x')],
    ['a short bzImage', makeKernel('6.1.0').subarray(0, 0x24f)],
    [
      'an ELF file without a banner',
      Buffer.from(elf.toString('latin1').replaceAll('Linux version', 'xxxxx'), 'latin1'),
    ],
    ['an ELF file with damaged headers', Buffer.concat([elf.subarray(0, 54), Buffer.alloc(2), elf.subarray(56)])],
    ['a bzImage without a version', makeBzImage({ version: '', payload: Buffer.alloc(100) })],
  ];
  for (const [name, data] of cases) {
    writeFileSync(path, data);
    await rejectsWith(identifyKernel(path), 'kernel-not-a-kernel', /; name a kernel image/).catch((error: Error) => {
      throw new Error(`${name}: ${error.message}`);
    });
  }
});

test('paths that lead to no readable file', async (context) => {
  const directory = scratchDirectory(context);
  const at = (name: string): string => join(directory, name);
  mkdirSync(at('dir'));
  symlinkSync('loop', at('loop'));
  symlinkSync('gone', at('dangling'));
  // A FIFO without a writer.
  execFileSync('mkfifo', [at('fifo')]);
  symlinkSync('fifo', at('to-fifo'));
  const socket = createServer().listen(at('socket'));
  context.after(() => socket.close());
  await once(socket, 'listening');
  const cases: [string, string, RegExp][] = [
    [at('dir'), 'kernel-not-a-kernel', /dir is a directory/],
    [at('fifo'), 'kernel-not-a-kernel', /fifo is not a regular file/],
    [at('to-fifo'), 'kernel-not-a-kernel', /to-fifo is not a regular file/],
    [at('socket'), 'kernel-not-a-kernel', /socket is not a regular file/],
    ['/dev/zero', 'kernel-not-a-kernel', /zero is not a regular file/],
    [at('dangling'), 'kernel-not-found', /dangling does not exist/],
    [at('loop'), 'kernel-unreadable', /loop cannot be read \(ELOOP\)/],
    [at('loop/vmlinuz'), 'kernel-unreadable', /loop\/vmlinuz cannot be read \(ELOOP\)/],
    [at('x'.repeat(256)), 'kernel-unreadable', /xxx cannot be read \(ENAMETOOLONG\)/],
  ];
  for (const [path, code, message] of cases) {
    await rejectsWith(identifyKernel(path), code, message, /; name a kernel image/);
    await rejectsWith(readKernel({ path, version: '6.1.0', format: 'bzimage', size: 9, payload: undefined }), code);
  }
});

test('the architecture of a foreign kernel is named', async (context) => {
  const path = join(scratchDirectory(context), 'Image');
  const arm = Buffer.alloc(1000);
  arm.write('ARM\x64', 56, 'latin1');
  const zboot = Buffer.alloc(1000);
  zboot.write('MZ\0\0zimg', 0, 'latin1');
  const cases: [Buffer, RegExp][] = [
    [arm, /is for aarch64, and only x86_64/],
    [zboot, /EFI zboot/],
    [makeVmlinux({ version: '6.1.0', machine: 183 }), /is for aarch64/],
    [makeVmlinux({ version: '6.1.0', machine: 243 }), /is for riscv64/],
    [makeBzImage({ version: '6.1.0', payload: Buffer.alloc(100), loadFlags: 0 }), /is for i386/],
  ];
  for (const [data, pattern] of cases) {
    writeFileSync(path, data);
    await rejectsWith(identifyKernel(path), 'kernel-architecture', pattern);
  }
});
