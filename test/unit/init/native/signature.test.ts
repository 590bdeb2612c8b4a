/** A module's signature: the native init cuts it off before it gives the module to the kernel, if it is a valid one. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { u32 } from './driver.js';

/** `make test` builds it. */
const FUZZ = resolve('build/native/init-fuzz');

const MODULE = Buffer.alloc(1000, 0x7f);
const MESSAGE = Buffer.alloc(300, 0x30);
const MARK = Buffer.from('~Module signature appended~\n');

/** The 12 bytes before the marker; the last four are the size of the signature. */
function trailer(size: number): Buffer {
  return Buffer.concat([Buffer.of(0, 0, 2, 0, 0, 0, 0, 0), u32(size)]);
}

function signed(size: number): Buffer {
  return Buffer.concat([MODULE, MESSAGE, trailer(size), MARK]);
}

const THERE = MODULE.length + MESSAGE.length;
const ALL = signed(0).length;
const CASES: [string, Buffer, number][] = [
  ['no signature', MODULE, MODULE.length],
  ['a signature', signed(MESSAGE.length), MODULE.length],
  ['a signature of no bytes', signed(0), THERE],
  ['a size that leaves one byte', signed(THERE - 1), 1],
  ['a size of all that is there', signed(THERE), ALL],
  ['a size one greater than what is there', signed(THERE + 1), ALL],
  ['a size of 4 GiB', signed(0xffff_ffff), ALL],
  ['a mark that is not at the end', Buffer.concat([signed(MESSAGE.length), Buffer.of(0)]), ALL + 1],
  ['a bare mark', MARK, MARK.length],
  ['a mark behind too few bytes', Buffer.concat([Buffer.of(0, 0, 0), MARK]), 3 + MARK.length],
  ['a mark and sizes alone', Buffer.concat([trailer(0), MARK]), 12 + MARK.length],
  ['less than a mark', MARK.subarray(1), MARK.length - 1],
  ['nothing', Buffer.alloc(0), 0],
];

test('the length of a module without its signature', (t) => {
  const directory = scratchDirectory(t);
  for (const [index, [name, bytes, length]] of CASES.entries()) {
    const file = join(directory, `${index}.ko`);
    writeFileSync(file, bytes);
    assert.deepEqual(execFileSync(FUZZ, ['--module', file]), bytes.subarray(0, length), name);
  }
});
