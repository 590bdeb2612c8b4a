/** Slots of snapshots: what a sandbox needs, what a snapshot lacks, and the addresses of the devices. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachSlots, detachSlots } from '../../../../init/common/slots.js';
import type { Slots } from '../../../../src/config/parsers/slots.js';
import type { ScreenSize } from '../../../../src/config/types.js';
import { diskElements } from '../../../../src/domain/disks.js';
import { machineInterfaces } from '../../../../src/domain/interfaces.js';
import { type MachineOptions, machineXml } from '../../../../src/domain/machine.js';
import { slotNames } from '../../../../src/domain/slots.js';
import { loadProfile } from '../../../../src/profile/load.js';
import type { Guest, Operation } from '../../../../src/protocol/operations.js';
import { lackOf, setsOfSlots } from '../../../../src/sandbox/snapshot/slots.js';

const SLOTS: Slots = { mounts: 1, disks: 2, networks: 1 };
const USUAL = ['console', 'root-9p'];

test('missing slots are named in the order of the kinds, then missing modules', async (t) => {
  const none = { mounts: 0, disks: 0, networks: 0 };
  const table: [Slots, Slots, readonly string[], string | undefined][] = [
    [none, none, USUAL, undefined],
    [SLOTS, SLOTS, USUAL, undefined],
    [SLOTS, none, USUAL, undefined],
    [none, { ...none, disks: 1 }, USUAL, 'has no slot for a disk'],
    [SLOTS, { ...SLOTS, disks: 3 }, USUAL, 'has no slot for a third disk'],
    [SLOTS, { ...SLOTS, disks: 5 }, USUAL, 'has no slot for a third disk'],
    [SLOTS, { ...SLOTS, mounts: 2, networks: 2 }, USUAL, 'has no slot for a second mount'],
    [SLOTS, { ...SLOTS, networks: 2 }, USUAL, 'has no slot for a second network'],
    [{ ...none, disks: 11 }, { ...none, disks: 12 }, USUAL, 'has no slot for a 12th disk'],
    [{ ...none, disks: 20 }, { ...none, disks: 21 }, USUAL, 'has no slot for a 21st disk'],
    [SLOTS, SLOTS, [...USUAL, 'block'], 'was baked without block'],
    [SLOTS, SLOTS, ['block', 'network'], 'was baked without block and network'],
  ];
  for (const [slots, needed, sets, lack] of table)
    await t.test(String(lack), () =>
      assert.equal(lackOf({ slots, sets: USUAL }, { slots: needed, sets, virtiofsRoot: false, late: 0 }), lack),
    );
  const late = (count: number, slots = none, virtiofsRoot = false, root?: 'virtiofs') =>
    lackOf({ slots, sets: USUAL, root }, { slots: none, sets: USUAL, virtiofsRoot, late: count });
  assert.equal(late(27), undefined);
  assert.equal(late(28), 'has no room for so many directories');
  assert.equal(late(23, { ...none, mounts: 4 }), undefined);
  assert.equal(late(24, { ...none, mounts: 4 }), 'has no room for so many directories');
  // A root over virtiofs is one of them, unless the machine was saved with it.
  assert.equal(late(26, none, true), undefined);
  assert.equal(late(27, none, true), 'has no room for so many directories');
  assert.equal(late(27, none, true, 'virtiofs'), undefined);
  assert.equal(late(0, none, false, 'virtiofs'), 'has a root over virtiofs');
  const [small, large] = [
    { width: 640, height: 480 },
    { width: 640, height: 481 },
  ];
  const onScreen = (there?: ScreenSize, screen?: ScreenSize, count = 0) =>
    lackOf(
      { slots: none, sets: USUAL, screen: there },
      { slots: none, sets: USUAL, virtiofsRoot: false, late: count, screen },
    );
  assert.equal(onScreen(small, small), undefined);
  assert.equal(onScreen(small, undefined), 'has a screen');
  assert.equal(onScreen(undefined, small), 'has no screen');
  assert.equal(onScreen(small, large), 'has a screen of 640x480');
  assert.equal(onScreen(small, small, 24), undefined);
  assert.equal(onScreen(small, small, 25), 'has no room for so many directories');
});

test('slots bring their modules', () => {
  const ofMounts = process.getuid?.() === 0 ? ['root-virtiofs'] : [];
  assert.deepEqual(setsOfSlots({ mounts: 0, disks: 0, networks: 0 }), []);
  assert.deepEqual(setsOfSlots({ mounts: 9, disks: 0, networks: 0 }), ofMounts);
  assert.deepEqual(setsOfSlots(SLOTS), [...ofMounts, 'block', 'filesystem-ext4', 'network']);
});

/** The devices of a machine and their addresses, such as `virtio-blk-pci-non-transitional 0x04`, used or not. */
function devicesOf(xml: string): string[] {
  const text = xml.replaceAll('&quot;', '"');
  const vacant = [...text.matchAll(/"driver":"(virtio-\w+-pci-non-transitional)".*?"addr":"(0x\w\w)\.0x0"/g)];
  const taken = [...text.matchAll(/<(disk|interface) (?:(?!<\/\1>)[\s\S])*?slot="(0x\w\w)"/g)];
  return [
    ...vacant.map(([, driver, slot]) => `${driver} ${slot}`),
    ...taken.map(
      ([, kind, slot]) =>
        `${kind === 'disk' ? 'virtio-blk-pci-non-transitional' : 'virtio-net-pci-non-transitional'} ${slot}`,
    ),
  ].sort();
}

for (const name of ['default', 'compatible']) {
  test(`a device has the address of its slot, used or not: profile ${name}`, async () => {
    const share = { directory: '/empty', readOnly: true, transport: '9p' } as const;
    const profile = await loadProfile(name);
    const machine: MachineOptions = {
      name: 'slots',
      uuid: undefined,
      memory: 512 << 20,
      vcpus: 1,
      acceleration: 'tcg',
      kernel: undefined,
      initrd: undefined,
      commandLine: undefined,
      tuning: profile.machine,
      qemuArguments: [],
      shares: [
        { tag: 'root', ...share },
        { tag: 'mount', ...share },
      ],
      slots: SLOTS,
      channelSocket: '/channel',
      consoleSocket: '/console',
    };
    const disk = { serial: 'disk0', source: '/srv/a', format: 'raw', readOnly: false, isBlock: false };
    const disks = diskElements([disk]);
    const network = { source: undefined, dhcp: true, mac: undefined, addresses: [], routes: [], filter: undefined };
    const interfaces = machineInterfaces([{ network, mac: '52:54:00:00:00:01', bandwidth: undefined }]);
    const vacant = devicesOf(machineXml(machine));
    assert.deepEqual(vacant, [
      'virtio-blk-pci-non-transitional 0x04',
      'virtio-blk-pci-non-transitional 0x05',
      'virtio-net-pci-non-transitional 0x06',
    ]);
    for (const taken of [{ disks }, { interfaces }, { disks, interfaces }, { disks: [...disks, ...disks], interfaces }])
      assert.deepEqual(devicesOf(machineXml({ ...machine, ...taken })), vacant);
    assert.deepEqual(slotNames(2, SLOTS), { disks: ['0000:00:04.0', '0000:00:05.0'], networks: ['0000:00:06.0'] });
    // An unused slot has no backend: no network of the host, no file.
    assert.doesNotMatch(machineXml(machine), /<interface|<disk|user|tap/);
  });
}

test('the driver gets each device by its name', async () => {
  const told: string[] = [];
  const guest: Guest = {
    async call(operation: Operation) {
      assert.equal(operation.op, 'writeFile');
      if (operation.op === 'writeFile') told.push(`${operation.path} ${Buffer.from(operation.data)}`);
      return { microseconds: 0, value: undefined as never };
    },
  };
  await detachSlots(guest, ['0000:00:04.0', '0000:00:05.0']);
  await attachSlots(guest, { lateDevices: true, slots: ['0000:00:05.0'] });
  assert.deepEqual(told, [
    '/sys/bus/pci/drivers/virtio-pci/unbind 0000:00:04.0',
    '/sys/bus/pci/drivers/virtio-pci/unbind 0000:00:05.0',
    '/sys/bus/pci/devices/0000:00:04.0/enable 1',
    '/sys/bus/pci/devices/0000:00:05.0/enable 1',
    '/sys/bus/pci/rescan 1',
    '/sys/bus/pci/drivers/virtio-pci/bind 0000:00:05.0',
  ]);
});
