/** A program's options for a start are checked before anything is done. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import type { SandboxOptions } from '../../../../src/sandbox/prepare/create-types.js';
import { checkStart } from '../../../../src/sandbox/prepare/start-schema.js';
import { Sandbox } from '../../../../src/sandbox/sandbox.js';

import { refuses } from '../../config/support.js';

const command = ['/bin/true'];

/** The options, the error code, and parts of the message and the remedy. */
const WRONG: readonly (readonly [unknown, string, RegExp])[] = [
  [undefined, 'config-value-invalid', /^config: the sandbox is missing; let it be an object/],
  [null, 'config-value-invalid', /the sandbox is null; let it be an object/],
  ['date', 'config-value-invalid', /the sandbox is "date"; let it be an object/],
  [{}, 'config-value-invalid', /"command" of the sandbox is missing/],
  [{ command: 'date' }, 'config-value-invalid', /"command" of the sandbox is "date"; let it be an array of strings/],
  [{ command: [1] }, 'config-value-invalid', /"command.0" of the sandbox is 1; let it be a string/],
  [{ command, mount: [] }, 'config-key-unknown', /the unknown key "mount"; leave it out; there are name, .*, mounts,/],
  [{ command, connect: 'qemu:///embed' }, 'config-key-unknown', /"connect"/],
  [{ command, memory: true }, 'config-value-invalid', /"memory" of the sandbox is true; let it be a number/],
  [{ command, memory: Number.NaN }, 'config-value-invalid', /"memory" of the sandbox is NaN/],
  [{ command, boot: 'hot' }, 'config-value-invalid', /"boot" .* is "hot"; let it be "auto" or "cold" or "warm"/],
  [{ command, bootTimeout: 0 }, 'config-value-invalid', /"bootTimeout".* is 0; .*at least 1/],
  [{ command, environment: { A: 1 } }, 'config-value-invalid', /"environment.0.value" of the sandbox is 1/],
  [
    { command, environment: 'A=1' },
    'config-value-invalid',
    /"environment" of the sandbox is "A=1"; .*\{ key, value \}/,
  ],
  [{ command, mounts: [{}] }, 'config-value-invalid', /"mounts.0.type" .* is missing; .*"host-bind"/],
  [
    { command, mounts: [{ type: 'ram', target: '/a', includes: [] }] },
    'config-value-invalid',
    /"mounts.0.usage" .*missing/,
  ],
  [
    { command, mounts: [{ type: 'ram', target: '/a', usage: 1, includes: [], readOnly: true }] },
    'config-key-unknown',
    /"mounts.0.readOnly"; leave it out/,
  ],
  [{ command, networks: [() => 1] }, 'config-value-invalid', /"networks.0" .* is a function; let it be an object/],
  [{ command, identity: { uid: -1 } }, 'config-value-invalid', /"identity.uid" .* is -1; .*not below 0/],
  [
    { command, tuning: { cpuPin: [], diskLimits: [{ tag: 'a', limits: { speed: 1 } }], networkLimits: [] } },
    'config-key-unknown',
    /"tuning.diskLimits.0.limits.speed"/,
  ],
  [{ command, tuning: { cpuQuota: 1 } }, 'config-value-invalid', /"tuning.cpuQuota" .* is 1; let it be a whole number/],
  [{ command, tuning: { speed: 1 } }, 'config-key-unknown', /"tuning.speed"/],
  [
    { command, tuning: { cpuScheduler: { policy: 'fifo' } } },
    'config-value-invalid',
    /"tuning.cpuScheduler.priority" .* is missing/,
  ],
  [{ command, tuning: { cpuScheduler: { policy: 'other' } } }, 'config-value-invalid', /"tuning.cpuScheduler.policy"/],
  [{ command, tuning: { numaNodes: { nodes: [], mode: 'strict' } } }, 'config-value-invalid', /at least one node/],
  [{ command, tuning: { hugePages: 'huge' } }, 'config-value-invalid', /"tuning.hugePages" .*"default" or bytes/],
  [{ command, tuning: { numa: [{ node: 1, cpus: [0] }] } }, 'numa-node-gap', /none for node 0/],
];

for (const [wanted, code, line] of WRONG) {
  test(`${JSON.stringify(wanted)} is refused`, async () => {
    await refuses(() => Sandbox.start(wanted as SandboxOptions), 'config', code);
    await assert.rejects(Sandbox.start(wanted as SandboxOptions), { line });
  });
}

test('the options of a start are accepted', async () => {
  for (const [options, code, line] of [
    [
      { connection: 'qemu:///embed' },
      'config-key-unknown',
      /options of the start .*"connection"; .*connect, debugInit/,
    ],
    [{ connect: 1 }, 'config-value-invalid', /"connect" of the options of the start is 1/],
    [{ signal: {} }, 'config-value-invalid', /"signal" .* an AbortSignal/],
    [{ onChoice: true }, 'config-value-invalid', /"onChoice" .* is true; let it be a function/],
    [null, 'config-value-invalid', /the options of the start is null/],
  ] as const) {
    await refuses(() => checkStart({ command }, options), 'config', code);
    assert.throws(() => checkStart({ command }, options), { line });
  }
});

test('every valid option value is accepted, and undefined too', async () => {
  const config = await configFromOptions({
    ...{ command, name: 'a', kernver: '1', env: ['A=1'], security: 'static,label=x', cpuPin: '0-1', cwd: '/' },
    mount: ['host-bind:/=', 'host-bind:/mnt=/srv,ro', 'host-image:/a=/a', 'ram:/scratch=1M', 'guest-bind:/opt=/srv'],
    include: ['/scratch/a=/etc/passwd'],
    disk: ['file:a=/srv/a.img', 'block:b=/dev/sdb'],
    network: ['dhcp,source=a,filter=b,filter.IP=10.0.0.1', 'address=10.0.0.2,route=0.0.0.0/0%10.0.0.1'],
    diskLimit: ['a:read_bytes_sec=1'],
    netLimit: ['0:inbound.average=1'],
    ...{ cpuQuota: '9000', cpuPeriod: '1000', cpuScheduler: 'rr:1', numa: ['0:cpus=0,host=1'], numaNodes: '1' },
    ...{ memoryLimit: '2G', memorySoftLimit: '1G', memorySwapLimit: '3G', hugePages: '2M' },
    ...{ blockWeight: '110', ioThreads: '1' },
  });
  checkStart(config, {});
  checkStart({ ...config, service: { type: 'systemd', bootTarget: 'a' } }, {});
  checkStart({ command, tuning: { hugePages: 'default', cpuScheduler: { policy: 'idle' } } }, {});
  checkStart({ command, name: undefined, privileged: undefined, mounts: undefined }, { connect: undefined });
  const options = {
    connect: 'qemu:///embed',
    signal: AbortSignal.timeout(1),
    terminal: { rows: 1 },
    onReady: () => {},
  };
  checkStart({ command }, options);
});
