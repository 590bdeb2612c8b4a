/** The domain's XML and the guest's plan are made from the same devices, so their names agree. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planSandbox } from '../../../../init/common/plan.js';
import { MS_RDONLY } from '../../../../init/common/step.js';
import { configFromOptions } from '../../../../src/config/options.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import type { ImageContents } from '../../../../src/disk-image/inspect.js';
import type { Share } from '../../../../src/domain/shares.js';
import type { Snapshot } from '../../../../src/image/snapshot/record.js';
import { loadProfile } from '../../../../src/profile/load.js';
import { type Devices, devicesOf } from '../../../../src/sandbox/devices/devices.js';
import type { Images } from '../../../../src/sandbox/devices/disks.js';
import { domainXml } from '../../../../src/sandbox/devices/machine-options.js';
import type { ShareServer } from '../../../../src/sandbox/devices/shares.js';
import { slotDevices } from '../../../../src/sandbox/devices/slots.js';
import { guestConfig } from '../../../../src/sandbox/setup/guest-config.js';
import { EXT4 } from '../../../helpers/domain-xml.js';

const NAME = 'devices';
const OPTIONS = {
  command: ['/bin/true'],
  disk: ['file:data=/srv/data.img', 'file:more=/srv/more.qcow2,format=qcow2'],
  network: ['dhcp', 'mac=52:54:00:11:22:33,address=192.0.2.2/24'],
  mount: [
    'host-bind:/a=/srv/a',
    'host-bind:/b=/srv/b,ro',
    'ram:/r=1M',
    'host-image:/i=/srv/i.img',
    'host-image:/s=/srv/s.img',
    'host-bind:/c=/srv/c,ro',
    'host-bind:/fresh=',
  ],
};
const IMAGES: Images = new Map<number, ImageContents>([
  [3, EXT4],
  [4, { isBlock: false, filesystem: 'squashfs' }],
]);

async function devicesWith(
  server: ShareServer,
  options: Partial<typeof OPTIONS> = {},
  root: Share['transport'] = '9p',
) {
  const config = await configFromOptions({ ...OPTIONS, ...options });
  return { config, devices: devicesOf(config, { name: NAME, images: IMAGES, server, root }) };
}

/** Shares as the XML has them: tag, and whether it is read-only. */
function sharesIn(xml: string): string[] {
  return [...xml.matchAll(/<filesystem (?:(?!<\/filesystem>)[\s\S])*<\/filesystem>/g)].map(([text]) => {
    const tag = /<target dir="(.*?)"/.exec(text)?.[1];
    return `${tag} ${text.includes('virtiofs') ? 'virtiofs' : '9p'} ${text.includes('<readonly') ? 'ro' : 'rw'}`;
  });
}

/** The same of what the guest mounts. */
function sharesOfPlan(config: SandboxConfig, devices: Devices): string[] {
  const plan = planSandbox(guestConfig(config, { name: NAME, devices }), {
    now: undefined,
    entropy: new Uint8Array(),
    devices: new Map(),
  });
  return plan.flatMap(({ calls }) =>
    calls.flatMap(({ operation }) =>
      operation.op === 'mount' && (operation.fstype === '9p' || operation.fstype === 'virtiofs')
        ? [`${operation.source} ${operation.fstype} ${operation.flags & MS_RDONLY ? 'ro' : 'rw'}`]
        : [],
    ),
  );
}

const MACHINE = {
  platform: 'machine',
  name: NAME,
  image: { kernel: '/k', initrd: '/i' },
  acceleration: 'tcg',
  securityLabels: [],
} as const;

for (const server of [
  { kind: 'session', readOnlyVirtiofs: false },
  { kind: 'system', readOnlyVirtiofs: false },
  { kind: 'system', readOnlyVirtiofs: true },
] as const) {
  for (const root of [[], ['host-bind:/=/srv/root,ro'], ['host-bind:/./=/srv/root']]) {
    const served = server.readOnlyVirtiofs ? 'with read-only virtiofs' : 'without read-only virtiofs';
    test(`shares have the same tags: ${server.kind} ${served}, ${root[0] ?? 'the usual root'}`, async () => {
      const { config, devices } = await devicesWith(server, { mount: [...OPTIONS.mount, ...root] });
      const profile = await loadProfile(undefined);
      const parts = { ...MACHINE, profile, devices, snapshot: undefined };
      const shares = sharesIn(domainXml(config, parts, {}));
      assert.equal(shares.length, 5);
      assert.equal(new Set(shares.map((share) => share.split(' ')[0])).size, 5);
      assert.deepEqual(sharesOfPlan(config, devices).sort(), shares.sort());
    });
  }
}

test('disks, images and interfaces have the same serials and hardware addresses', async () => {
  const { config, devices } = await devicesWith({ kind: 'session', readOnlyVirtiofs: false });
  const profile = await loadProfile(undefined);
  const xml = domainXml(config, { ...MACHINE, profile, devices, snapshot: undefined }, {});
  const all = (expression: RegExp) => [...xml.matchAll(expression)].map(([, text]) => text);
  const { disks, mounts, network } = devices.guest;
  const images = mounts.flatMap((mount) => (mount.type === 'image' ? [mount] : []));
  assert.deepEqual(
    all(/<serial>(.*?)<\/serial>/g),
    [...disks, ...images].map(({ serial }) => serial),
  );
  assert.deepEqual(
    all(/(?:<mac address="|&quot;mac&quot;:&quot;)([0-9a-f:]+)/g).sort(),
    network?.interfaces.map(({ mac }) => mac).sort(),
  );
  // A file system that cannot be written to is mounted so, whatever the disk is.
  assert.deepEqual(
    images.map(({ readOnly }) => readOnly),
    [false, true],
  );
});

test('a container mounts its shares from where libvirt has bound them', async () => {
  const { config, devices } = await devicesWith({ kind: 'lxc', readOnlyVirtiofs: false });
  const xml = domainXml(config, { platform: 'container', name: NAME, securityLabels: [], devices }, {});
  const { root, mounts } = devices.guest;
  assert.ok(root.type === 'staged');
  for (const mount of mounts) if (mount.type === 'staged') assert.ok(xml.includes(`"/dev/.sandbox/${mount.tag}"`), xml);
  assert.deepEqual(devices.guest.devices, {
    disk0: '/dev/sda',
    disk1: '/dev/sdb',
    mount3: '/dev/sdc',
    mount4: '/dev/sdd',
  });
});

test('a restored machine has a slot for every disk and interface, and looks for late shares', async () => {
  const { config, devices } = await devicesWith({ kind: 'system', readOnlyVirtiofs: true });
  const record = { slots: { mounts: 2, disks: 5, networks: 2 } };
  const snapshot = { directory: '/warm', record } as unknown as Snapshot;
  const slotted = slotDevices(snapshot, devices);
  const guest = guestConfig(
    config,
    { name: NAME, devices, snapshot: { ...snapshot, slotted } },
    { terminal: { rows: 1, columns: 1, type: 'vt220' } },
  );
  assert.equal(guest.lateDevices, true);
  assert.deepEqual(
    slotted.lateShares.map(({ tag }) => tag),
    [0, 1, 2, 3].map((number) => `sandbox:virtiofs${number}`),
  );
  assert.deepEqual(
    slotted.shares.map(({ tag, directory }) => [tag, directory]),
    [
      ['sandbox:root', `/run/libvirt-sandbox/${NAME}/root`],
      ['sandbox:mount0', '/warm/empty'],
      ['sandbox:mount1', '/warm/empty'],
    ],
  );
  assert.equal(guest.slots?.length, devices.disks.length + devices.interfaces.length);
  assert.equal(guest.slots, slotted.taken);
});

test('a root over virtiofs has a server of its own, and is late in a restored machine', async () => {
  const server = { kind: 'system', readOnlyVirtiofs: false } as const;
  const { config, devices } = await devicesWith(server, { mount: [] }, 'virtiofs');
  assert.deepEqual(devices.guest.root, { type: 'virtiofs', tag: 'sandbox:rootfs', readOnly: true, cache: 'auto' });
  const profile = await loadProfile(undefined);
  const xml = domainXml(config, { ...MACHINE, profile, devices, snapshot: undefined }, {});
  assert.deepEqual(sharesIn(xml), ['sandbox:rootfs virtiofs ro']);
  assert.match(xml, new RegExp(`<binary path="/run/libvirt-sandbox/${NAME}/root-server">`));
  const record = { slots: { mounts: 1, disks: 5, networks: 2 } };
  const { shares, lateShares } = slotDevices({ directory: '/warm', record } as unknown as Snapshot, devices);
  assert.deepEqual(
    shares.map(({ tag, directory, transport }) => [tag, directory, transport]),
    [
      ['sandbox:root', '/warm/empty', '9p'],
      ['sandbox:mount0', '/warm/empty', '9p'],
    ],
  );
  assert.deepEqual(
    lateShares.map(({ tag }) => tag),
    ['sandbox:rootfs'],
  );
});
