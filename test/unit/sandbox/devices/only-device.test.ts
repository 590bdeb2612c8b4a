/** Where a machine finds its disk without looking for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiskDevice } from '../../../../src/domain/disks.js';
import { onlyDevice } from '../../../../src/sandbox/devices/disks.js';

function disk(serial: string): DiskDevice {
  return { serial, source: `/srv/${serial}`, isBlock: false, format: 'raw', readOnly: true };
}

test('the only disk has the first name', () => {
  assert.deepEqual(onlyDevice([disk('mount0')], {}), { mount0: '/dev/vda' });
  assert.deepEqual(onlyDevice([disk('mount0')], { qemuArguments: [] }), { mount0: '/dev/vda' });
});

test('where there may be others, each is looked for', () => {
  assert.equal(onlyDevice([], {}), undefined);
  assert.equal(onlyDevice([disk('disk0'), disk('mount0')], {}), undefined);
  assert.equal(onlyDevice([disk('mount0')], { qemuArguments: ['-drive', 'if=virtio,file=/srv/other'] }), undefined);
  // It may have partitions.
  assert.equal(onlyDevice([{ ...disk('overlay'), readOnly: false }], {}), undefined);
});
