/** The grammar of CPU shares, CPU lists, disk limits and network limits. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatNumberSet } from '../../../../src/config/parsers/number-set.js';
import {
  parseCpuPin,
  parseCpuShares,
  parseDiskLimit,
  parseNetworkLimit,
} from '../../../../src/config/parsers/tuning.js';
import { Random, refuses } from '../support.js';

test('CPU shares', async () => {
  assert.equal(parseCpuShares('2'), 2);
  assert.equal(parseCpuShares('262144'), 262_144);
  for (const text of ['1', '262145', 'x', '']) {
    await refuses(() => parseCpuShares(text), 'arguments', 'number-invalid', '--cpu-shares', JSON.stringify(text));
  }
});

test('CPU lists', async () => {
  const table: [string, number[], string][] = [
    ['0', [0], '0'],
    ['0-1,3', [0, 1, 3], '0-1,3'],
    ['3,0-1', [0, 1, 3], '0-1,3'],
    ['5-5,4,4-6', [4, 5, 6], '4-6'],
    ['8191', [8191], '8191'],
  ];
  for (const [text, cpus, canonical] of table) {
    assert.deepEqual(parseCpuPin(text), cpus);
    assert.equal(formatNumberSet(cpus), canonical);
  }
  assert.equal(formatNumberSet([]), '');
  for (const [text, part] of [
    ['', '""'],
    ['0,', '""'],
    ['1-0', '"1-0"'],
    ['0,a', '"a"'],
    ['-1', '"-1"'],
    ['0-', '"0-"'],
    ['8192', '"8192"'],
    ['1 ', '"1 "'],
  ] as const) {
    await refuses(() => parseCpuPin(text), 'arguments', 'cpu-pin-invalid', part);
  }
});

test('a CPU list keeps its CPUs in a round trip', () => {
  const random = new Random(20260101);
  for (let round = 0; round < 200; round += 1) {
    const cpus = [random.below(40), ...random.list(12, () => random.below(40))];
    const sorted = [...new Set(cpus)].sort((a, b) => a - b);
    assert.deepEqual(parseCpuPin(cpus.join(',')), sorted);
    assert.deepEqual(parseCpuPin(formatNumberSet(sorted)), sorted);
  }
});

test('disk limits', () => {
  assert.deepEqual(parseDiskLimit('data:read_bytes_sec=1048576'), {
    tag: 'data',
    limits: { read_bytes_sec: 1_048_576 },
  });
  assert.deepEqual(parseDiskLimit('a:b:total_iops_sec=5,total_bytes_sec_max=7,read_bytes_sec=9'), {
    tag: 'a:b',
    limits: { total_iops_sec: 5, total_bytes_sec_max: 7, read_bytes_sec: 9 },
  });
});

test('bad disk limits', async (t) => {
  const table: [string, string, string][] = [
    ['', 'disk-limit-invalid', '""'],
    ['data', 'disk-limit-invalid', '"data"'],
    ['data:', 'disk-limit-invalid', '"data:"'],
    [':read_bytes_sec=1', 'disk-limit-invalid', '":read_bytes_sec=1"'],
    ['data:read_bytes_sec', 'disk-limit-invalid', '"read_bytes_sec"'],
    ['data:read_bytes_sec=1,', 'disk-limit-invalid', '""'],
    ['data:speed=1', 'disk-limit-invalid', '"speed"'],
    ['data:toString=1', 'disk-limit-invalid', '"toString"'],
    ['data:read_bytes_sec=0', 'number-invalid', 'read_bytes_sec'],
    ['data:read_bytes_sec=1000000000000001', 'number-invalid', 'read_bytes_sec'],
    ['data:read_bytes_sec=1M', 'number-invalid', '"1M"'],
    ['data:read_bytes_sec=1,total_bytes_sec=2', 'disk-limit-conflict', 'total_bytes_sec'],
    ['data:total_iops_sec_max=2,write_iops_sec_max=1', 'disk-limit-conflict', 'total_iops_sec_max'],
  ];
  for (const [text, code, name] of table) {
    await t.test(JSON.stringify(text), () =>
      refuses(() => parseDiskLimit(text), 'arguments', code, '--disk-limit', name),
    );
  }
});

test('network limits', () => {
  assert.deepEqual(parseNetworkLimit('0:inbound.average=1000'), {
    index: 0,
    inbound: { average: 1000, peak: undefined, burst: undefined },
    outbound: undefined,
  });
  assert.deepEqual(parseNetworkLimit('2:outbound.burst=5,outbound.average=1,outbound.peak=3'), {
    index: 2,
    inbound: undefined,
    outbound: { average: 1, peak: 3, burst: 5 },
  });
});

test('bad network limits', async (t) => {
  const table: [string, string, string][] = [
    ['', 'net-limit-invalid', '""'],
    ['0', 'net-limit-invalid', '"0"'],
    ['0:', 'net-limit-invalid', '""'],
    ['eth0:inbound.average=1', 'number-invalid', '"eth0"'],
    ['-1:inbound.average=1', 'number-invalid', '"-1"'],
    ['0:inbound=1', 'net-limit-invalid', '"inbound"'],
    ['0:inbound.floor=1', 'net-limit-invalid', '"inbound.floor"'],
    ['0:inbound.average=0', 'number-invalid', 'inbound.average'],
    ['0:inbound.average=2147483648', 'number-invalid', '"2147483648"'],
    ['0:inbound.peak=1', 'net-limit-invalid', 'inbound.average'],
    ['0:inbound.average=1,outbound.burst=1', 'net-limit-invalid', 'outbound.average'],
  ];
  for (const [text, code, name] of table) {
    await t.test(JSON.stringify(text), () =>
      refuses(() => parseNetworkLimit(text), 'arguments', code, '--net-limit', name),
    );
  }
});
