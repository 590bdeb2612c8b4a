/** The grammar of sizes, numbers, durations, variables and acceleration. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAcceleration } from '../../../../src/config/parsers/acceleration.js';
import { environmentRecord, parseEnv } from '../../../../src/config/parsers/env.js';
import { parseSeconds, parseWhole } from '../../../../src/config/parsers/number.js';
import { GIB, KIB, MIB, parseMemory, parseSize } from '../../../../src/config/parsers/size.js';
import { refuses } from '../support.js';

test('a size is a whole number with a binary suffix', async (t) => {
  const table: [string, number][] = [
    ['1', 1],
    ['64K', 64 * KIB],
    ['64KiB', 64 * KIB],
    ['64k', 64 * KIB],
    ['64M', 64 * MIB],
    ['64MiB', 64 * MIB],
    ['2G', 2_147_483_648],
    ['2GiB', 2_147_483_648],
    ['4096GiB', 4096 * GIB],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['007', 7],
  ];
  for (const [text, bytes] of table) await t.test(text, () => assert.equal(parseSize(text, '--x', 1), bytes));
});

test('other sizes are refused', async (t) => {
  const invalid = ['', 'M', '64X', '64KB', '64MB', '64 M', ' 64', '64M ', '-1', '+1', '1.5G', '1e3', '0x10', '6４'];
  for (const text of [...invalid, '64constructor', '64MM']) {
    await t.test(JSON.stringify(text), () =>
      refuses(() => parseSize(text, '--x', 1), 'arguments', 'size-invalid', '--x', JSON.stringify(text)),
    );
  }
  await refuses(() => parseSize('0', '--x', 1), 'arguments', 'size-zero', '--x', '"0"');
  await refuses(() => parseSize('0G', '--x', 1), 'arguments', 'size-zero', '"0G"');
  await refuses(() => parseSize('9007199254740992', '--x', 1), 'arguments', 'size-too-large', '--x');
  await refuses(() => parseSize('8388608G', '--x', 1), 'arguments', 'size-too-large', '8388608G');
});

test('memory without a suffix is MiB', async () => {
  assert.equal(parseMemory('512', '--memory'), 512 * MIB);
  assert.equal(parseMemory('1G', '--memory'), GIB);
  assert.equal(parseMemory('65536K', '--memory'), 64 * MIB);
  await refuses(() => parseMemory('lots', '--memory'), 'arguments', 'size-invalid', '--memory', 'lots');
});

test('a whole number has a range', async (t) => {
  assert.equal(parseWhole('1', '--n', 1, 8), 1);
  assert.equal(parseWhole('8', '--n', 1, 8), 8);
  for (const text of ['0', '9', '', '-1', '1.0', 'one', '1e0', ' 1']) {
    await t.test(JSON.stringify(text), () =>
      refuses(() => parseWhole(text, '--n', 1, 8), 'arguments', 'number-invalid', '--n', JSON.stringify(text)),
    );
  }
});

test('a duration is in seconds', async (t) => {
  assert.equal(parseSeconds('60', '--t'), 60_000);
  assert.equal(parseSeconds('2.5', '--t'), 2500);
  assert.equal(parseSeconds('86400', '--t'), 86_400_000);
  for (const text of ['0', '0.0001', '86401', '', '-1', '1s', '.5', '1.', 'Infinity']) {
    await t.test(JSON.stringify(text), () =>
      refuses(() => parseSeconds(text, '--t'), 'arguments', 'duration-invalid', '--t', JSON.stringify(text)),
    );
  }
});

test('an environment variable without a value takes it from this process', async (t) => {
  process.env['VS_TEST_FOO'] = 'a=b';
  t.after(() => delete process.env['VS_TEST_FOO']);
  assert.deepEqual(parseEnv('VS_TEST_FOO'), { key: 'VS_TEST_FOO', value: 'a=b' });
  process.env['VS_TEST_FOO'] = '';
  assert.deepEqual(parseEnv('VS_TEST_FOO'), { key: 'VS_TEST_FOO', value: '' });
  delete process.env['VS_TEST_FOO'];
  await refuses(() => parseEnv('VS_TEST_FOO'), 'arguments', 'env-value-missing', '"VS_TEST_FOO"');
  await refuses(() => parseEnv('toString'), 'arguments', 'env-value-missing', '"toString"');
});

test('an environment variable ends its name at the first =', async () => {
  assert.deepEqual(parseEnv('FOO=bar'), { key: 'FOO', value: 'bar' });
  assert.deepEqual(parseEnv('FOO='), { key: 'FOO', value: '' });
  assert.deepEqual(parseEnv('FOO=a b=c'), { key: 'FOO', value: 'a b=c' });
  assert.deepEqual(parseEnv('FOO==\n'), { key: 'FOO', value: '=\n' });
  await refuses(() => parseEnv(''), 'arguments', 'env-key-missing', '""');
  await refuses(() => parseEnv('=bar'), 'arguments', 'env-key-missing', '"=bar"');
});

test('the last value of a variable wins', () => {
  assert.deepEqual(environmentRecord(['A=1', 'B=2', 'A=3'].map(parseEnv)), { A: '3', B: '2' });
  assert.equal(Object.keys(environmentRecord([parseEnv('__proto__=x')])).join(), '__proto__');
});

test('acceleration is one of three words', async () => {
  for (const word of ['auto', 'kvm', 'tcg']) assert.equal(parseAcceleration(word, '--accel'), word);
  for (const word of ['', 'KVM', 'hvf']) {
    await refuses(
      () => parseAcceleration(word, '--accel'),
      'arguments',
      'acceleration-unknown',
      '--accel',
      JSON.stringify(word),
    );
  }
});
