/** The grammar of limits of memory, huge pages, block weights and I/O threads. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHugePages, parseMemoryLimit } from '../../../../src/config/parsers/memory-tuning.js';
import { GIB, KIB, MIB } from '../../../../src/config/parsers/size.js';
import { parseBlockWeight, parseIoThreads } from '../../../../src/config/parsers/tuning.js';
import { refuses } from '../support.js';

test('limits of memory', async () => {
  assert.equal(parseMemoryLimit('700', '--memory-limit'), 700 * MIB);
  assert.equal(parseMemoryLimit('1K', '--memory-limit'), KIB);
  assert.equal(parseMemoryLimit('4194304G', '--memory-limit'), 2 ** 52);
  for (const [text, code] of [
    ['0', 'size-zero'],
    ['x', 'size-invalid'],
    ['4194305G', 'size-too-large'],
  ] as const) {
    await refuses(() => parseMemoryLimit(text, '--memory-limit'), 'arguments', code, '--memory-limit', `"${text}"`);
  }
});

test('huge pages', async () => {
  assert.equal(parseHugePages('default'), 'default');
  assert.equal(parseHugePages('2M'), 2 * MIB);
  assert.equal(parseHugePages('2'), 2 * MIB);
  assert.equal(parseHugePages('64K'), 64 * KIB);
  assert.equal(parseHugePages('1G'), GIB);
  for (const [text, code] of [
    ['3M', 'huge-pages-invalid'],
    ['4K', 'huge-pages-invalid'],
    ['0', 'size-zero'],
    ['yes', 'size-invalid'],
  ] as const) {
    await refuses(() => parseHugePages(text), 'arguments', code, '--huge-pages', `"${text}"`);
  }
});

test('block weights and I/O threads', async () => {
  assert.deepEqual(['100', '1000'].map(parseBlockWeight), [100, 1000]);
  assert.deepEqual(['1', '64'].map(parseIoThreads), [1, 64]);
  for (const text of ['99', '1001', 'x']) {
    await refuses(() => parseBlockWeight(text), 'arguments', 'number-invalid', '--block-weight', `"${text}"`);
  }
  for (const text of ['0', '65', 'x']) {
    await refuses(() => parseIoThreads(text), 'arguments', 'number-invalid', '--io-threads', `"${text}"`);
  }
});
