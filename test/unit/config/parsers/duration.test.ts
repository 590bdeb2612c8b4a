/** Times with a unit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inMilliseconds, parseDuration } from '../../../../src/config/parsers/duration.js';
import { refuses } from '../support.js';

const HOUR = 3_600_000;

test('a time is a number and its unit', async (t) => {
  for (const [text, milliseconds] of [
    ['500ms', 500],
    ['1.6ms', 2],
    ['5s', 5000],
    ['0.001s', 1],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['1h', HOUR],
    ['3600s', HOUR],
  ] as const)
    await t.test(text, () => assert.equal(parseDuration(text, 'timeout', HOUR), milliseconds));
});

test('other times are refused, with the name of the option', async (t) => {
  const wrong = [
    '',
    '5',
    's',
    '5 s',
    ' 5s',
    '5s ',
    '-5s',
    '+5s',
    '5S',
    '5d',
    '1e3s',
    '.5s',
    '5.s',
    '0s',
    '0.0001s',
    '٥s',
  ];
  for (const text of [...wrong, '1.1h', '3600001ms', `${'9'.repeat(400)}s`, '5constructor'])
    await t.test(JSON.stringify(text), () =>
      refuses(() => parseDuration(text, 'timeout', HOUR), 'arguments', 'duration-invalid', 'timeout'),
    );
});

test('only texts are read', () => {
  assert.deepEqual(
    [undefined, 5, '5s'].map((value) => inMilliseconds(value, 'timeout', HOUR)),
    [undefined, 5, 5000],
  );
});
