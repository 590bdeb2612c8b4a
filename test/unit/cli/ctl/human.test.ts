/** Times and sizes that virt-sandbox-ctl prints and reads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agoText, bytesText, cpuText, spanText } from '../../../../src/cli/ctl/human.js';
import { optionMs, sinceTime, spanMs } from '../../../../src/cli/ctl/times.js';
import { shortened } from '../../../../src/cli/output.js';
import { refuses } from '../../config/support.js';

const [MINUTE, HOUR, DAY] = [60, 3600, 86_400];

test('spans in their largest unit', () => {
  for (const [seconds, text] of [
    [-5, 'Less than a second'],
    [0.9, 'Less than a second'],
    [1, '1 second'],
    [59.9, '59 seconds'],
    [MINUTE, 'About a minute'],
    [2 * MINUTE, '2 minutes'],
    [59 * MINUTE + 59, '59 minutes'],
    [HOUR, 'About an hour'],
    [1.4 * HOUR, 'About an hour'],
    [1.5 * HOUR, '2 hours'],
    [47.4 * HOUR, '47 hours'],
    [2 * DAY, '2 days'],
    [13.9 * DAY, '13 days'],
    [14 * DAY, '2 weeks'],
    [60 * DAY, '2 months'],
    [729 * DAY, '24 months'],
    [730 * DAY, '2 years'],
  ] as const) {
    assert.equal(spanText(seconds), text, String(seconds));
  }
  const now = Date.UTC(2026, 10, 28);
  assert.equal(agoText(new Date(now - 180_000), now), '3 minutes ago');
});

test('bytes with at most four digits', () => {
  for (const [bytes, text] of [
    [0, '0B'],
    [999, '999B'],
    [1000, '1kB'],
    [44_234_567, '44.23MB'],
    [999_960_000, '1GB'],
    [536_870_912, '536.9MB'],
    [4e12, '4TB'],
    [4e15, '4000TB'],
  ] as const) {
    assert.equal(bytesText(bytes), text);
  }
});

test('processor time', () => {
  assert.deepEqual([0, 1.23456, 59.9994, 61.25, 3600, 7384].map(cpuText), [
    '0s',
    '1.235s',
    '59.999s',
    '1m1.3s',
    '1h0m0s',
    '2h3m4s',
  ]);
});

test('what does not fit is left out, letter by letter', () => {
  assert.deepEqual([shortened('abcd', 4), shortened('abcde', 4), shortened('😀😀😀', 2)], ['abcd', 'abc…', '😀…']);
});

test('spans that are read', () => {
  for (const [text, ms] of [
    ['90', 90_000],
    ['0', 0],
    ['1.5', 1500],
    ['500ms', 500],
    ['10s', 10_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['', undefined],
    ['10', 10_000],
    ['10x', undefined],
    ['10 s', undefined],
    ['s', undefined],
    ['-1s', undefined],
    ['1m 1s', undefined],
  ] as const) {
    assert.equal(spanMs(text), ms, text);
  }
});

test('--since', async () => {
  const now = Date.UTC(2026, 10, 28, 12);
  for (const [text, time] of [
    ['10m', '2026-11-28T11:50:00.000Z'],
    ['1h30m', '2026-11-28T10:30:00.000Z'],
    ['30', '2026-11-28T11:59:30.000Z'],
    ['2026-11-28T09:00:00Z', '2026-11-28T09:00:00.000Z'],
    ['2026-11-28T09:00:00.123+01:00', '2026-11-28T08:00:00.123Z'],
    ['1795856400', '2026-11-28T09:00:00.000Z'],
    ['2024-02-29T00:30:00+01:00', '2024-02-28T23:30:00.000Z'],
    ['2026-11-28', new Date(2026, 10, 28).toISOString()],
    ['2026-11-28T09:00', new Date(2026, 10, 28, 9).toISOString()],
  ] as const) {
    assert.equal(sinceTime(text, now).toISOString(), time, text);
  }
  const noDays = ['2026-02-31', '2026-02-29T09:00:00Z', '2026-11-31T09:00+01:00', '2026-13-01', '2026-00-10'];
  for (const text of [
    '',
    'yesterday',
    '2026-11-28 09:00',
    '28.11.2026',
    '9'.repeat(20),
    `${'9'.repeat(20)}h`,
    ...noDays,
  ])
    await refuses(() => sinceTime(text, now), 'arguments', 'usage', JSON.stringify(text));
});

test('times of options have bounds', async () => {
  const bounds = { least: 100, most: 3_600_000 };
  assert.equal(optionMs(undefined, '--time', 'stop', bounds), undefined);
  assert.equal(optionMs('1h', '--time', 'stop', bounds), 3_600_000);
  for (const text of ['0', '99ms', '3601', 'x', ''])
    await refuses(() => optionMs(text, '--time', 'stop', bounds), 'arguments', 'usage', '--time', JSON.stringify(text));
});
