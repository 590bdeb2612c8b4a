/** A container whose root is an OCI image: its devices, its plan, and what is said of a host that cannot have it. */
import assert from 'node:assert/strict';
import { mkdirSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { processOperation } from '../../../../init/common/application.js';
import { OCI_CAPABILITIES } from '../../../../init/common/oci-root.js';
import { planSandbox } from '../../../../init/common/plan.js';
import { overlayArguments } from '../../../../init/common/root-overlay.js';
import { configFromOptions } from '../../../../src/config/options.js';
import { imageRoot } from '../../../../src/config/root.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import { fitsLoop } from '../../../../src/libvirt/loop-path.js';
import { parseRootImage } from '../../../../src/oci-names/root-image.js';
import { type Guest, type Operation, OperationError } from '../../../../src/protocol/operations.js';
import { devicesOf } from '../../../../src/sandbox/devices/devices.js';
import { withLoopLinks } from '../../../../src/sandbox/devices/loop-links.js';
import { guestConfig } from '../../../../src/sandbox/setup/guest-config.js';
import { setUpOverlay } from '../../../../src/sandbox/setup/root-overlay.js';
import { Console } from '../../../../src/sandbox/start/console.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const EROFS = `${'/var/cache/virt-sandbox/oci/roots/'.padEnd(98, '0')}/root.erofs`;

async function imageConfig(changes: Partial<SandboxConfig> = {}): Promise<SandboxConfig> {
  const config = await configFromOptions({ command: ['/bin/true'], memory: '1G', switchto: 'root' });
  return {
    ...config,
    root: imageRoot(parseRootImage('docker://debian:13')),
    mounts: [{ type: 'host-image', target: '/', source: EROFS, format: 'raw', readOnly: true, includes: [] }],
    overlay: { type: 'memory' },
    ...changes,
  };
}

function guestOf(config: SandboxConfig) {
  const devices = devicesOf(config, {
    name: 'image',
    images: new Map([[0, { filesystem: 'erofs', isBlock: false }]]),
    server: { kind: 'lxc', readOnlyVirtiofs: false },
    root: '9p',
  });
  return { devices, guest: guestConfig(config, { name: 'image', devices }) };
}

const idMap = { uids: [{ inside: 0, outside: 7, count: 9 }], gids: [{ inside: 0, outside: 8, count: 9 }] };

test('root-overlay lays the overlay over an image, of which root inside reads all', async () => {
  const { guest, devices } = guestOf(await imageConfig());
  assert.deepEqual(devices.disks[0]?.source, EROFS);
  assert.deepEqual(guest.rootOverlay, { program: '/native/root-overlay', bytes: 1 << 29 });
  const words = ['/native/root-overlay', '--image', '--uid', '0', '7', '9', '--gid', '0', '8', '9'];
  assert.deepEqual(overlayArguments({ ...guest, idMap }), [...words, '/newroot', String(1 << 29)]);
  // Without a user namespace files belong to whom they belong to.
  assert.deepEqual(overlayArguments(guest)?.slice(1, -2), ['--image']);
});

test('the plan finds the root mounted, keeps its /run and /tmp, and opens low ports', async () => {
  const { guest } = guestOf(await imageConfig());
  const steps = planSandbox({ ...guest, idMap }, { now: undefined, entropy: new Uint8Array(), devices: new Map() });
  const calls = steps.flatMap(({ calls: each }) => each.map(({ operation }) => operation));
  const mounts = calls.flatMap((each) => (each.op === 'mount' ? [`${each.source} ${each.target}`] : []));
  assert.ok(mounts.includes('/dev /newroot/dev'));
  assert.deepEqual(
    mounts.filter((each) => /erofs|overlay|\/run$|\/tmp$/.test(each)),
    [],
  );
  const written = calls.flatMap((each) =>
    each.op === 'writeFile' ? [[each.path, Buffer.from(each.data).toString()]] : [],
  );
  assert.deepEqual(written, [['/proc/sys/net/ipv4/ip_unprivileged_port_start', '0']]);
});

test('the application has the capabilities of an image, and all of them with -p', async () => {
  const { guest } = guestOf(await imageConfig());
  assert.equal(processOperation(guest, '/').capabilities, OCI_CAPABILITIES);
  assert.equal(processOperation({ ...guest, privileged: true }, '/').capabilities, 2n ** 64n - 1n);
});

test('a root shell beside it is refused, but with -p', async () => {
  const config = await imageConfig({ shell: true });
  const user = { ...config, identity: { ...config.identity, uid: 1000 } };
  for (const each of [config, user]) assert.throws(() => guestOf(each), { code: 'shell-with-image' });
  assert.ok(guestOf({ ...config, privileged: true }).guest.shell);
});

test('a kernel without EROFS is named, with what to do', async () => {
  const { guest } = guestOf(await imageConfig());
  const called: Operation[] = [];
  const call = async (operation: Operation) => {
    called.push(operation);
    if (operation.op === 'mount')
      throw new OperationError('mount', constants.errno.ENODEV, 'mount(/dev/sda, /newroot, erofs): No such device');
    return { value: undefined };
  };
  const config = await imageConfig();
  const setting = setUpOverlay(
    { call } as unknown as Guest,
    guest,
    config.root,
    new Map([['mount0', '/dev/sda']]),
    new Console(),
    '/nowhere',
    {},
  );
  await assert.rejects(setting, (error: Error & { code?: string; remedy?: string }) => {
    assert.equal(error.code, 'erofs-unsupported');
    assert.match(error.message, /the kernel of this host does not know it: mount\(\/dev\/sda, \/newroot, erofs\)/);
    assert.match(error.remedy ?? '', /modprobe erofs.*qemu:\/\/\/embed/);
    return true;
  });
  assert.deepEqual(called[1], {
    ...{ op: 'mount', source: '/dev/sda', target: '/newroot', fstype: 'erofs' },
    // MS_RDONLY and MS_NODEV
    ...{ flags: 5, data: '' },
  });
});

test('a kernel that mounts no file is named by what it takes', async () => {
  const file = '/dev/.sandbox/image-file/root.erofs';
  const call = async (operation: Operation) => {
    if (operation.op === 'mount')
      throw new OperationError('mount', 15, `mount(${file}, /newroot, erofs): Block device`);
    return { value: undefined };
  };
  const config = await imageConfig();
  const { guest } = guestOf(config);
  const devices = new Map([['mount0', file]]);
  const answering = { call } as unknown as Guest;
  await assert.rejects(setUpOverlay(answering, guest, config.root, devices, new Console(), '/nowhere', {}), {
    code: 'erofs-file-unsupported',
    remedy: /keep images on ext4, xfs or btrfs/,
  });
});

test('images whose path the kernel has no room for get a link', (t) => {
  const path = join(scratchDirectory(t), 'name');
  mkdirSync(path);
  const disk = { serial: 'a', format: 'raw', readOnly: true, isBlock: false } as const;
  const short = `/${'x'.repeat(62)}`;
  assert.deepEqual([fitsLoop(short), fitsLoop(`${short}x`)], [true, false]);
  const disks = [
    { ...disk, source: short },
    { ...disk, source: EROFS },
    { ...disk, source: EROFS, isBlock: true },
    { ...disk, source: EROFS, format: 'qcow2' },
  ];
  const linked = withLoopLinks(disks, { path, sockets: '/alias' });
  assert.deepEqual(
    linked.map(({ source }) => source),
    [short, '/alias/closed/disk1', EROFS, EROFS],
  );
  assert.equal(readlinkSync(join(path, 'closed/disk1')), EROFS);
});
