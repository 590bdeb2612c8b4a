/** How an overlay is laid over the root: the module set, and the calls of the step `root`. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { GuestConfig, GuestOverlay } from '../../../../init/common/config.js';
import { rootStep } from '../../../../init/common/mounts.js';
import { MS_NODEV, MS_NOSUID, MS_NOSYMFOLLOW, MS_RDONLY } from '../../../../init/common/step.js';
import { configFromOptions } from '../../../../src/config/options.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import type { Operation } from '../../../../src/protocol/operations.js';
import { devicesOf } from '../../../../src/sandbox/devices/devices.js';
import type { ShareServer } from '../../../../src/sandbox/devices/shares.js';
import { neededSlots } from '../../../../src/sandbox/devices/slots.js';
import { moduleSets } from '../../../../src/sandbox/prepare/module-sets.js';
import { guestConfig } from '../../../../src/sandbox/setup/guest-config.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const command = ['/bin/true'];

function devices(config: SandboxConfig, kind: ShareServer['kind']) {
  return devicesOf(config, {
    name: 'overlay',
    images: new Map(),
    server: { kind, readOnlyVirtiofs: false },
    root: '9p',
  });
}

function operations(config: SandboxConfig, overlay: GuestOverlay): Operation[] {
  const guest: GuestConfig = guestConfig(config, { name: 'overlay', devices: devices(config, 'session') });
  return rootStep({ ...guest, overlay }, new Map()).calls.map(({ operation }) => operation);
}

/** The mounts, unmounts and changes of owners, a line each. */
function shortly(all: readonly Operation[]): string[] {
  return all.flatMap((operation) => {
    if (operation.op === 'mount') return `${operation.source} ${operation.target} ${operation.data}`.trim();
    if (operation.op === 'unmount') return `unmount ${operation.path}`;
    if (operation.op === 'chown') return `chown ${operation.path} ${operation.uid}:${operation.gid}`;
    return operation.op === 'switchRoot' ? operation.op : [];
  });
}

const FLAGS = 'redirect_dir=on,index=off,metacopy=off,xino=on';

test('only a sandbox with an overlay has the module', async () => {
  for (const [overlay, sets] of [
    [false, ['console', 'root-9p']],
    [true, ['console', 'root-9p', 'overlay']],
  ] as const)
    assert.deepEqual(
      moduleSets(devices(await configFromOptions(overlay ? { command, overlay } : { command }), 'session')),
      sets,
    );
});

test('in a machine the share is mounted read-only below memory, which no path leads to', async (t) => {
  const root = scratchDirectory(t);
  mkdirSync(join(root, 'dev'));
  const config = await configFromOptions({ command, overlay: true, root });
  const all = operations(config, { type: 'ram', mode: 0o1750, uid: 7, gid: 8 });
  assert.deepEqual(shortly(all), [
    'tmpfs /overlay mode=700',
    'sandbox:root /overlay/lower trans=virtio,version=9p2000.L,msize=512000,cache=none',
    'chown /overlay/upper 7:8',
    `overlay /newroot lowerdir=/overlay/lower,upperdir=/overlay/upper,workdir=/overlay/work,${FLAGS}`,
    'unmount /overlay',
    'devtmpfs /newroot/dev mode=755',
    'switchRoot',
  ]);
  const mounts = all.flatMap((operation) => (operation.op === 'mount' ? operation : []));
  assert.deepEqual(
    mounts.map(({ flags }) => flags & MS_RDONLY),
    [0, MS_RDONLY, 0, 0],
  );
  // The layers stay within reach of the init; of the overlay its own flags count.
  assert.deepEqual([mounts[0]?.flags, mounts[2]?.flags], [MS_NODEV | MS_NOSUID, 0]);
  assert.ok(
    all.some((operation) => operation.op === 'mkdir' && operation.path.endsWith('/upper') && operation.mode === 0o1750),
  );
});

test('an image is a disk of its own, whose file system is ext4, and whose device nobody inside can open', async () => {
  const path = '/srv/kept.qcow2';
  const config = await configFromOptions({ command, overlay: path, disk: ['file:a=/srv/a.img'] });
  const found = devices(config, 'session');
  assert.deepEqual(moduleSets(found), ['console', 'root-9p', 'block', 'filesystem-ext4', 'overlay']);
  assert.deepEqual(neededSlots(found).disks, 2);
  assert.deepEqual(found.disks[1], {
    serial: 'overlay',
    source: path,
    isBlock: false,
    format: 'qcow2',
    readOnly: false,
  });
  const { overlay } = found.guest;
  assert.ok(overlay?.type === 'image');
  assert.deepEqual(overlay, { type: 'image', serial: 'overlay', mode: overlay.mode, uid: 0, gid: 0 });
  const guest = guestConfig(config, { name: 'overlay', devices: found });
  const { calls } = rootStep(guest, new Map([['overlay', '/dev/vdb']]));
  assert.deepEqual(shortly(calls.map(({ operation }) => operation)).slice(2, 6), [
    '/dev/vdb /overlay/kept discard,noinit_itable,errors=remount-ro',
    'chown /dev/vdb 4294967294:4294967294',
    `overlay /newroot lowerdir=/overlay/lower,upperdir=/overlay/kept/upper,workdir=/overlay/kept/work,${FLAGS.replace('=on', '=nofollow')}`,
    'unmount /overlay',
  ]);
  // A node of a device is of use only to who could make one.
  const flagsOf = (privileged: boolean) =>
    rootStep({ ...guest, privileged }, new Map([['overlay', '/dev/vdb']])).calls.flatMap(({ operation }) =>
      operation.op === 'mount' && operation.fstype === 'overlay' ? operation.flags : [],
    );
  assert.deepEqual([flagsOf(true), flagsOf(false)], [[0], [MS_NODEV]]);
  const disk = calls.flatMap(({ operation }) =>
    operation.op === 'mount' && operation.fstype === 'ext4' ? operation.flags : [],
  );
  assert.deepEqual(disk, [MS_NODEV | MS_NOSUID | MS_NOSYMFOLLOW]);
});

test('the topmost directory has the mode and the owners of the root', async (t) => {
  const root = scratchDirectory(t);
  const { guest } = devices(await configFromOptions({ command, overlay: true, root }), 'session');
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];
  assert.deepEqual(guest.overlay, { type: 'ram', mode: 0o755, uid, gid });
});

test('a directory keeps the layers, as a share of its own that is written to', async (t) => {
  const directory = scratchDirectory(t);
  const config = await configFromOptions({ command, overlay: join(directory, 'kept') });
  const made = devices(config, 'embedded');
  const { program, ...share } = made.shares.at(-1) ?? {};
  const layers = join(directory, 'kept/layers');
  assert.deepEqual(share, { tag: 'sandbox:overlay', directory: layers, readOnly: false, transport: 'virtiofs' });
  assert.match(program ?? '', /\/overlay\/overlay-server$/);
  assert.deepEqual(moduleSets(made), ['console', 'root-9p', 'root-virtiofs', 'overlay']);
  assert.ok(made.guest.overlay);
  assert.deepEqual(shortly(operations(config, made.guest.overlay)).slice(1, 5), [
    'sandbox:root /overlay/lower trans=virtio,version=9p2000.L,msize=512000,cache=none',
    'sandbox:overlay /overlay/kept',
    'overlay /newroot lowerdir=/overlay/lower,upperdir=/overlay/kept/upper,workdir=/overlay/kept/work,' +
      FLAGS.replace('=on', '=nofollow'),
    'unmount /overlay',
  ]);
});
