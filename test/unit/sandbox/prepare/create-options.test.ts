/** What a program may leave out, and give as text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createdSandbox } from '../../../../src/sandbox/prepare/create-options.js';

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
  ] as const)
    assert.equal(createdSandbox({ bootTimeout: text }).sandbox.bootTimeout, milliseconds);
  const { environment } = createdSandbox({ environment: { A: 'b=c' } }).sandbox;
  assert.deepEqual(environment, [{ key: 'A', value: 'b=c' }]);
});
