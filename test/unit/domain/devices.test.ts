/** PCI addresses of devices, names of disks, and shared memory. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diskElements, diskName } from '../../../src/domain/disks.js';
import { MOST_PCI_DEVICES, pciAddresses } from '../../../src/domain/pci.js';
import { memoryBacking, shareElement } from '../../../src/domain/shares.js';
import { SandboxError } from '../../../src/util/errors.js';

const slotOf = (address: Readonly<Record<string, unknown>>) => `${address['@slot']}.${address['@function']}`;

test('few devices have one slot each, and no function numbers', () => {
  const address = pciAddresses(29);
  const made = Array.from({ length: 29 }, address);
  assert.deepEqual(
    [made[0], made[28]].map((entry) => slotOf(entry ?? {})),
    ['0x01.0x0', '0x1d.0x0'],
  );
  assert.equal(new Set(made.map(slotOf)).size, 29);
  assert.ok(made.every((entry) => entry['@multifunction'] === undefined));
});

test('more devices share slots, with unique addresses; only a shared slot is marked multifunction', () => {
  const address = pciAddresses(31);
  const made = Array.from({ length: 31 }, address);
  assert.equal(new Set(made.map(slotOf)).size, 31);
  assert.deepEqual(
    [made[29], made[30]].map((entry) => slotOf(entry ?? {})),
    ['0x01.0x1', '0x02.0x1'],
  );
  assert.deepEqual(
    made.flatMap((entry, index) => (entry['@multifunction'] === 'on' ? [index] : [])),
    [0, 1],
  );
});

test('all slots can be filled, and one device more is an error', () => {
  const address = pciAddresses(MOST_PCI_DEVICES);
  const made = Array.from({ length: MOST_PCI_DEVICES }, address);
  assert.equal(new Set(made.map(slotOf)).size, MOST_PCI_DEVICES);
  assert.ok(made.every((entry) => Number(entry['@function']) < 8));
  assert.throws(
    () => pciAddresses(MOST_PCI_DEVICES + 1),
    (error) =>
      error instanceof SandboxError &&
      error.code === 'too-many-devices' &&
      /room for 100 .* have 101;/.test(error.line),
  );
});

test('disk names continue after z', () => {
  const names = [0, 25, 26, 51, 52, 701, 702].map((index) => diskName('vd', index));
  assert.deepEqual(names, ['vda', 'vdz', 'vdaa', 'vdaz', 'vdba', 'vdzz', 'vdaaa']);
});

test('a disk from a file, and a read-only one from a device', () => {
  const common = { serial: 'disk0', source: '/srv/a', format: 'raw', readOnly: false, isBlock: false };
  const [file, block] = diskElements([common, { ...common, format: 'qcow2', readOnly: true, isBlock: true }]);
  assert.deepEqual(
    [file?.['@type'], file?.['source'], file?.['readonly'], file?.['serial']],
    ['file', { '@file': '/srv/a' }, undefined, 'disk0'],
  );
  assert.deepEqual([block?.['@type'], block?.['source'], block?.['readonly']], ['block', { '@dev': '/srv/a' }, '']);
  const driver = { '@name': 'qemu', '@cache': 'writeback', '@io': 'threads', '@error_policy': 'report' };
  assert.deepEqual(file?.['driver'], { ...driver, '@type': 'raw', '@discard': 'unmap' });
  assert.deepEqual(block?.['driver'], { ...driver, '@type': 'qcow2' });
});

test('a disk of many sandboxes is given to none of their users', () => {
  const common = { serial: 'mount0', source: '/srv/a', format: 'raw', readOnly: true, isBlock: false };
  const sourceOf = (keepsOwner: boolean, owner?: number, areGiven?: boolean) =>
    diskElements([{ ...common, keepsOwner }], { owner, areGiven })[0]?.['source'];
  const kept = { '@file': '/srv/a', seclabel: { '@model': 'dac', '@relabel': 'no' } };
  assert.deepEqual(sourceOf(true, 7), kept);
  assert.deepEqual(sourceOf(true, undefined, true), kept);
  assert.deepEqual(sourceOf(false, undefined, true), { '@file': '/srv/a' });
  for (const keeps of [true, false]) assert.deepEqual(sourceOf(keeps), { '@file': '/srv/a' });
});

test('a share whose server listens already is its socket, which libvirt starts nothing for', () => {
  const share = { tag: 'sandbox:rootfs', directory: '/srv', readOnly: true, transport: 'virtiofs' } as const;
  const element = shareElement({ ...share, program: '/run/server', socket: '/run/rootfs' });
  assert.deepEqual(element['source'], { '@socket': '/run/rootfs' });
  assert.equal(element['binary'], undefined);
  assert.deepEqual(memoryBacking([{ ...share, socket: '/run/rootfs' }])?.['access'], { '@mode': 'shared' });
});

test('memory is shared only for virtiofs', () => {
  const share = { tag: 'sandbox:mount0', directory: '/srv', readOnly: true, transport: '9p' } as const;
  assert.equal(memoryBacking([share]), undefined);
  assert.deepEqual(memoryBacking([share, { ...share, transport: 'virtiofs' }])?.['access'], { '@mode': 'shared' });
  assert.equal(shareElement(share)['readonly'], '');
  assert.equal(shareElement({ ...share, readOnly: false })['readonly'], undefined);
});
