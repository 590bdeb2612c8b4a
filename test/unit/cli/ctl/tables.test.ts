/** What `virt-sandbox-ctl ps`, `inspect` and `stats` print. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCtlArguments } from '../../../../src/cli/ctl/arguments.js';
import { describeRecord } from '../../../../src/cli/ctl/describe.js';
import { psTable } from '../../../../src/cli/ctl/ps.js';
import { statsText } from '../../../../src/cli/ctl/stats.js';
import type { SandboxRecord } from '../../../../src/control/record.js';

const NOW = Date.UTC(2026, 10, 28, 12);

const record: SandboxRecord = {
  version: 1,
  name: 'box',
  uuid: '3f8e7f3c-1d7c-4d0b-8f52-6f5a6f1f5a10',
  pid: 42,
  created: new Date(NOW - 180_000).toISOString(),
  platform: 'machine',
  connection: 'embedded',
  acceleration: 'tcg',
  boot: 'warm',
  image: '0123',
  kernel: '6.12',
  memory: 536_870_912,
  vcpus: 1,
  command: ['sh', '-c', 'echo \u001b[31m; while sleep 1000; do :; done'],
  detached: true,
  root: '/',
  mounts: [],
  guest: {
    platform: 'machine',
    hostname: 'box',
    identity: { uid: 0, gid: 0, groups: [], username: 'root', home: '/root' },
    privileged: false,
    environment: [
      { key: 'A', value: 'first' },
      { key: 'A', value: 'last' },
    ],
    cwd: undefined,
    root: { type: 'ram', bytes: 0 },
    mounts: [],
    disks: [],
    devices: undefined,
    network: undefined,
    command: [],
    terminal: undefined,
  },
};
const stateDirectory = '/run/libvirt-sandbox/box';
const container: SandboxRecord = {
  ...record,
  platform: 'container',
  connection: 'lxc',
  acceleration: undefined,
  command: [],
};

function table(...options: readonly string[]): string[] {
  const request = parseCtlArguments(['ps', ...options]);
  assert.ok('command' in request);
  const all = [
    { called: 'box', name: 'box', stateDirectory, record },
    { called: 'nobody/c\n', name: 'c\n', stateDirectory, record: container },
    { called: 'new', name: 'new', stateDirectory, record: undefined },
  ];
  return psTable(all, request.args, NOW);
}

test('ps has aligned columns, and no control character of a record', () => {
  assert.deepEqual(table(), [
    'NAME        COMMAND                         CREATED        STATUS        KIND           CONNECTION',
    'box         sh -c echo \\u{1b}[31m; while …  3 minutes ago  Up 3 minutes  machine (tcg)  qemu:///embed',
    'nobody/c\\n                                  3 minutes ago  Up 3 minutes  container      lxc:///',
    'new                                                        Unknown',
  ]);
});

test('ps has commands in full, and no headings', () => {
  const lines = table('--no-trunc', '--noheading');
  assert.equal(lines.length, 3);
  assert.match(lines[0] ?? '', /; do :; done {2}3 minutes ago/);
});

test('JSON has the record with the last value of each variable, and what is only for this program is left out', () => {
  const described = describeRecord(record);
  assert.deepEqual(described.environment, { A: 'last' });
  assert.deepEqual(
    [described.connection, described.user.username, described.uuid],
    ['qemu:///embed', 'root', record.uuid],
  );
  assert.ok(!('guest' in described) && !('version' in described));
});

test('stats', () => {
  const sample = { cpuSeconds: 61.25, memoryBytes: 268_435_456, holderBytes: 51_000_000, processes: 3 };
  assert.equal(
    statsText([{ name: 'box', ...sample, cpuPercent: 12.345, memoryLimit: record.memory }]),
    'NAME  CPU %   MEM USAGE / LIMIT  MEM %   HOLDER  PIDS  CPU TIME\n' +
      'box   12.35%  268.4MB / 536.9MB  50.00%  51MB    3     1m1.3s\n',
  );
});
