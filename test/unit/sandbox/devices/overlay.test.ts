/** How an overlay is laid over the root: the module set, and the calls of the step `root`. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { GuestConfig, GuestOverlay } from '../../../../init/common/config.js';
import { rootStep } from '../../../../init/common/mounts.js';
import { layOverRoot, overlayArguments } from '../../../../init/common/root-overlay.js';
import { MS_NODEV, MS_RDONLY } from '../../../../init/common/step.js';
import { configFromOptions } from '../../../../src/config/options.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import type { Guest, IdMap, Operation } from '../../../../src/protocol/operations.js';
import { devicesOf } from '../../../../src/sandbox/devices/devices.js';
import { coveredPaths } from '../../../../src/sandbox/devices/hidden-paths.js';
import type { ShareServer } from '../../../../src/sandbox/devices/shares.js';
import { neededSlots } from '../../../../src/sandbox/devices/slots.js';
import { checkDriver } from '../../../../src/sandbox/prepare/driver-check.js';
import { moduleSets } from '../../../../src/sandbox/prepare/module-sets.js';
import { guestConfig } from '../../../../src/sandbox/setup/guest-config.js';
import { overlayRemedy } from '../../../../src/sandbox/setup/root-overlay.js';
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
  const flags = all.flatMap((operation) => (operation.op === 'mount' ? operation.flags & MS_RDONLY : []));
  assert.deepEqual(flags, [0, MS_RDONLY, 0, 0]);
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

test('a container has memory for one, which a program of the package lays over its root', async () => {
  const config = await configFromOptions({ command, overlay: true, memory: '1G', switchto: 'root' });
  checkDriver(config, 'lxc');
  checkDriver(config, 'session');
  const { guest } = devices(config, 'lxc');
  assert.equal(guest.overlay, undefined);
  assert.deepEqual(guest.rootOverlay, { program: '/native/root-overlay', bytes: 1 << 29 });
  // The root is there already, and can be written to.
  const plan = rootStep({ ...guestConfig(config, { name: 'overlay', devices: devices(config, 'lxc') }) }, new Map());
  const made = plan.calls.flatMap(({ operation }) => (operation.op === 'mkdir' ? operation.path : []));
  assert.deepEqual(
    made,
    ['dev', 'proc', 'sys', 'tmp', 'run'].map((name) => `/newroot/${name}`),
  );
});

test('root inside looks through the layers of a container as nobody, a user as itself', () => {
  const first = 0x7c00_0000;
  const ids = [{ inside: 0, outside: first, count: 65_536 }];
  const split = (id: number) => [
    { inside: 0, outside: first, count: id },
    { inside: id, outside: id, count: 1 },
    { inside: id + 1, outside: first + id + 1, count: 65_535 - id },
  ];
  const of = (uid: number, gid: number, idMap: IdMap | undefined) =>
    overlayArguments({
      rootOverlay: { program: '/native/root-overlay', bytes: 1 << 20 },
      idMap,
      identity: { uid, gid, groups: [0, 4, 27], username: 'x', home: '/' },
    } as unknown as GuestConfig);
  const end = ['/newroot', '1048576'];
  const map = ['--uid', '0', `${first}`, '65536', '--gid', '0', `${first}`, '65536'];
  const asRoot = of(0, 0, { uids: ids, gids: ids }) ?? [];
  assert.deepEqual(asRoot.slice(0, 12), ['/native/root-overlay', '--reader', '65534', '65534', ...map]);
  assert.deepEqual(asRoot.slice(-2), end);
  assert.ok(asRoot.join(' ').includes('--empty /var/lib/dpkg/lock '));
  // Only the groups that it has inside too, which group 0 is never one of.
  const user = (gid: number, same: number) => of(1000, gid, { uids: split(1000), gids: split(same) });
  assert.deepEqual(user(4, 4), ['/native/root-overlay', '--reader', '1000', '4', '--group', '4', ...end]);
  assert.deepEqual(user(0, 27), ['/native/root-overlay', '--reader', '1000', '65534', '--group', '27', ...end]);
  assert.deepEqual(of(0, 0, undefined), ['/native/root-overlay', ...end]);
});

test('what is hidden in a container is found through the links of its root', async (t) => {
  const root = scratchDirectory(t);
  for (const name of ['open', 'closed/deep']) mkdirSync(join(root, name), { recursive: true });
  for (const name of ['open/file', 'closed/deep/file']) writeFileSync(join(root, name), '');
  for (const [target, name] of [
    ['closed/deep', 'link'],
    // Both lead elsewhere on the host.
    ['/closed/deep', 'absolute'],
    ['../../../open', 'open/up'],
    ['round', 'round'],
  ] as const)
    symlinkSync(target, join(root, name));
  const shown = async (...hide: string[]) => coveredPaths(await configFromOptions({ command, root, hide }));
  assert.deepEqual(await shown('/open/up/file'), [{ path: '/open/file', isDirectory: false }]);
  assert.deepEqual(await shown('/link/file', '/absolute/file'), [{ path: '/closed/deep/file', isDirectory: false }]);
  assert.deepEqual(await shown('/absolute'), [{ path: '/closed/deep', isDirectory: true }]);
  assert.deepEqual(await shown('/round', '/missing', '/open/file/none'), []);
});

test('what keeps an overlay from a container has its own remedy', () => {
  const { E2BIG, EACCES, EINVAL, ENOMEM, ENOSPC, ETIMEDOUT } = constants.errno;
  const remedy = (errno: number, isOfIds = false) => overlayRemedy({ errno, isOfIds });
  assert.match(remedy(EINVAL), /Linux 5\.19/);
  assert.match(remedy(E2BIG), /^unmount some/);
  for (const errno of [ENOSPC, ENOMEM]) assert.match(remedy(errno), /--memory/);
  assert.match(remedy(ENOSPC, true), /max_user_namespaces/);
  assert.match(remedy(ETIMEDOUT, true), /try again/);
  assert.match(remedy(EACCES), /nobody on this host/);
});

test('what root-overlay says is told', async () => {
  const saying = (status: number, said: string) => {
    const value = { status, output: Buffer.from(said) };
    const config = { rootOverlay: { program: '/native/root-overlay', bytes: 1 << 20 }, identity: { uid: 0 } };
    return layOverRoot({ call: async () => ({ value }) } as unknown as Guest, config as unknown as GuestConfig);
  };
  assert.deepEqual(await saying(0, 'read-only /boot: efi: Invalid argument\n'), [
    '/boot: efi stays read-only: Invalid argument',
  ]);
  const message = 'cannot make the ids of /newroot: No space left on device';
  await assert.rejects(saying(256, `read-only /x: y\nroot-overlay: 28 ${message}\n`), {
    message,
    errno: 28,
    isOfIds: true,
  });
  await assert.rejects(saying(9, ''), { errno: 0, isOfIds: false });
});

test('root inside cannot replace a shell that is root of the host', async () => {
  const options = { command, overlay: true, shell: true } as const;
  const of = async (more: object) => devices(await configFromOptions({ ...options, ...more }), 'lxc').shell;
  await assert.rejects(of({ switchto: 'root' }), { code: 'shell-with-overlay' });
  for (const more of [{ overlay: undefined, switchto: 'root' }, { privileged: true }, { switchto: 'nobody' }])
    assert.ok(await of(more));
});

test('what outlives the sandbox is refused for a container', async () => {
  for (const path of ['/srv/state/', '/srv/state.qcow2']) {
    const kept = await configFromOptions({ command, overlay: path });
    assert.throws(() => checkDriver(kept, 'lxc'), { code: 'overlay-of-container' });
  }
  checkDriver(await configFromOptions({ command, overlay: '/srv/state.qcow2' }), 'embedded');
});
