/** What a program may leave out, and give as text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import { createdSandbox, startedSandbox } from '../../../../src/sandbox/prepare/create-options.js';
import type { SandboxError } from '../../../../src/util/errors.js';

test('disks and images have the format of the command line', () => {
  const { sandbox } = createdSandbox({
    disks: [
      { tag: 'a', source: '/a.qcow2' },
      { tag: 'b', source: '/b.img', format: undefined as unknown as string },
      { type: 'block', tag: 'c', source: '/dev/c.qcow2' },
      'file:d=/d.qcow2',
    ],
    mounts: [{ type: 'host-image', target: '/mnt', source: '/m.qcow2' }],
  });
  assert.deepEqual(
    sandbox.disks?.map(({ tag, type, format, readOnly }) => [tag, type, format, readOnly]),
    [
      ['a', 'file', 'qcow2', false],
      ['b', 'file', 'raw', false],
      ['c', 'block', 'raw', false],
      ['d', 'file', 'qcow2', false],
    ],
  );
  const image = { type: 'host-image', target: '/mnt', source: '/m.qcow2', format: 'qcow2', readOnly: false };
  assert.deepEqual(sandbox.mounts, [{ ...image, includes: [] }]);
});

test('options of the start are told from those of the sandbox', () => {
  const onWarning = () => {};
  const { sandbox, launching } = createdSandbox({ connect: 'qemu:///embed', onWarning, image: 'i', memory: '1G' });
  assert.deepEqual(launching, { connect: 'qemu:///embed', onWarning });
  assert.deepEqual([sandbox.image, sandbox.memory, sandbox.mounts], ['i', 1 << 30, undefined]);
});

test('times and variables may be texts', () => {
  for (const [text, milliseconds] of [
    ['500ms', 500],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['1h', 3_600_000],
  ] as const)
    assert.equal(createdSandbox({ bootTimeout: text }).sandbox.bootTimeout, milliseconds);
  const { environment } = createdSandbox({ environment: { A: 'b=c' } }).sandbox;
  assert.deepEqual(environment, [{ key: 'A', value: 'b=c' }]);
});

test('an overlay is in memory, or where a text or an object says', () => {
  const memory = { type: 'memory' } as const;
  assert.deepEqual(createdSandbox({ overlay: true }).sandbox, { overlay: memory });
  assert.deepEqual(createdSandbox({ overlay: memory }).sandbox, { overlay: memory });
  assert.deepEqual(createdSandbox({ overlay: false }).sandbox, {});
  const kept = { type: 'directory', path: '/srv/dir' } as const;
  for (const overlay of ['/srv/dir', kept]) assert.deepEqual(createdSandbox({ overlay }).sandbox, { overlay: kept });
  for (const overlay of [1, { type: 'directory' }, { type: 'disk', path: '/srv/dir' }, {}] as unknown[])
    assert.throws(() => createdSandbox({ overlay: overlay as boolean }), { code: 'config-value-invalid' });
});

test('what is left out of an object has its default, and sizes may be texts', () => {
  const { sandbox } = createdSandbox({
    kernel: { version: '6.1' },
    hidden: { paths: ['/opt'] },
    security: { mode: 'static' },
    mounts: [
      { type: 'host-bind', target: '/a' },
      { type: 'ram', target: '/b', usage: '10M' },
    ],
    networks: [{ dhcp: true }],
    tuning: { memoryLimit: '2G', memorySoftLimit: 5, cpuShares: undefined },
  });
  assert.deepEqual(sandbox, {
    kernel: { version: '6.1', path: undefined, modulesPath: undefined },
    hidden: { secrets: true, paths: ['/opt'] },
    security: { mode: 'static', label: undefined },
    mounts: [
      { type: 'host-bind', target: '/a', readOnly: false, includes: [] },
      { type: 'ram', target: '/b', usage: 10 << 20, includes: [] },
    ],
    networks: [{ dhcp: true, addresses: [], routes: [] }],
    tuning: { memoryLimit: 2 ** 31, memorySoftLimit: 5, cpuShares: undefined },
  });
});

test('a sandbox with a command takes the same, and a time limit', () => {
  const { sandbox, launching } = startedSandbox(
    { command: ['true'], memory: '1G', environment: { A: 'b' }, bootTimeout: '5s' },
    { timeLimit: '2s', connect: 'qemu:///embed' },
  );
  assert.deepEqual(sandbox, {
    command: ['true'],
    memory: 2 ** 30,
    environment: [{ key: 'A', value: 'b' }],
    bootTimeout: 5000,
  });
  assert.deepEqual(launching, { timeLimit: 2000, connect: 'qemu:///embed' });
});

test('what a file of libvirt-sandbox says is taken, and not offered', async () => {
  const config = { ...(await configFromOptions({ command: ['true'] })), arch: 'x86_64', debug: true };
  assert.deepEqual(startedSandbox(config, {}).sandbox.arch, 'x86_64');
  assert.throws(() => createdSandbox({ arch: 'x86_64' } as object), { code: 'config-key-unknown' });
  const unknown = { command: ['true'], nothing: 1 };
  assert.throws(
    () => startedSandbox(unknown, {}),
    (error: SandboxError) => !/arch|service|debug|verbose/.test(error.remedy),
  );
});
