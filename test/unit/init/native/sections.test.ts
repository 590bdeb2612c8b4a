/** Sections of a module that the native init hides from the kernel; it leaves malformed modules unchanged. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** `make test` builds it. */
const FUZZ = resolve('build/native/init-fuzz');

/** Sizes and offsets of elf(5). */
const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const FLAGS_AT = 8;
const ALLOC = 2n;
const WRITE = 1n;

const NAMES = [
  '',
  '.text',
  '.static_call_sites',
  '.rela.static_call_sites',
  '_ftrace_eval_map',
  '__mcount_loc',
  '.orc_unwind',
  '.names',
];
const PASSED_OVER = [2, 4, 5];

/** A module with those sections, each marked to be loaded. */
function elf(change: (file: Buffer, sections: number) => void = () => {}): Buffer {
  const names = Buffer.from(`${NAMES.join('\0')}\0`);
  const start = Math.ceil((HEADER_BYTES + names.length) / 8) * 8;
  const file = Buffer.alloc(start + NAMES.length * SECTION_BYTES);
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeBigUInt64LE(BigInt(start), 40);
  file.writeUInt16LE(SECTION_BYTES, 58);
  file.writeUInt16LE(NAMES.length, 60);
  file.writeUInt16LE(NAMES.length - 1, 62);
  names.copy(file, HEADER_BYTES);
  for (const index of NAMES.keys()) {
    const at = start + index * SECTION_BYTES;
    file.writeUInt32LE(Buffer.byteLength(NAMES.slice(0, index).join('\0')) + (index > 0 ? 1 : 0), at);
    file.writeBigUInt64LE(ALLOC | WRITE, at + FLAGS_AT);
  }
  const last = start + (NAMES.length - 1) * SECTION_BYTES;
  file.writeBigUInt64LE(BigInt(HEADER_BYTES), last + 24);
  file.writeBigUInt64LE(BigInt(names.length), last + 32);
  change(file, start);
  return file;
}

function given(directory: string, file: Buffer): Buffer {
  const path = join(directory, 'module.ko');
  writeFileSync(path, file);
  return execFileSync(FUZZ, ['--module', path]);
}

test('costly sections are not loaded any more, and nothing else changes', (t) => {
  const expected = elf((file, sections) => {
    for (const index of PASSED_OVER) file.writeBigUInt64LE(WRITE, sections + index * SECTION_BYTES + FLAGS_AT);
  });
  assert.deepEqual(given(scratchDirectory(t), elf()), expected);
});

const LAST = (sections: number) => sections + (NAMES.length - 1) * SECTION_BYTES;
const LEFT_ALONE: [string, Buffer][] = [
  ['no ELF file', elf((file) => file.writeUInt8(0, 0))],
  ['one for 32 bits', elf((file) => file.writeUInt8(1, 4))],
  ['section headers of another size', elf((file) => file.writeUInt16LE(40, 58))],
  ['section headers beyond the end', elf((file) => file.writeBigUInt64LE(1n << 40n, 40))],
  ['section headers that wrap around', elf((file) => file.writeBigUInt64LE((1n << 64n) - 64n, 40))],
  ['section headers at an odd offset', elf((file) => file.writeBigUInt64LE(file.readBigUInt64LE(40) - 4n, 40))],
  ['no section of names', elf((file) => file.writeUInt16LE(0xffff, 62))],
  ['names beyond the end', elf((file, sections) => file.writeBigUInt64LE(1n << 63n, LAST(sections) + 24))],
  ['more names than there are bytes', elf((file, sections) => file.writeBigUInt64LE(1n << 63n, LAST(sections) + 32))],
  ['no names', elf((file, sections) => file.writeBigUInt64LE(0n, LAST(sections) + 32))],
  ['names without an end', elf((file, sections) => file.writeBigUInt64LE(48n, LAST(sections) + 32))],
  ['less than a header', elf().subarray(0, HEADER_BYTES - 1)],
  ['a file cut off in its names’ header', elf().subarray(0, elf().length - 1)],
];
for (const [name, file] of LEFT_ALONE)
  test(`${name}: left unchanged`, (t) => assert.deepEqual(given(scratchDirectory(t), file), file));

test('a name beyond the string table is ignored', (t) => {
  const file = elf((bytes, sections) => bytes.writeUInt32LE(0xffff_ffff, sections + 2 * SECTION_BYTES));
  const after = given(scratchDirectory(t), file);
  assert.equal(after.readBigUInt64LE(file.readUIntLE(40, 6) + 2 * SECTION_BYTES + FLAGS_AT), ALLOC | WRITE);
});

test('with more sections than headers, the existing headers are still processed', (t) => {
  const file = elf((bytes) => bytes.writeUInt16LE(0xfff0, 60));
  const after = given(scratchDirectory(t), file);
  assert.equal(after.readBigUInt64LE(file.readUIntLE(40, 6) + 2 * SECTION_BYTES + FLAGS_AT), WRITE);
});
