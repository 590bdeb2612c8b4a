/** How an overlay is laid over the root of a container: what the host gives, asks for and refuses. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { GuestConfig } from '../../../../init/common/config.js';
import { rootStep } from '../../../../init/common/mounts.js';
import { coverable, layOverRoot, overlayArguments } from '../../../../init/common/root-overlay.js';
import { configFromOptions } from '../../../../src/config/options.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import { type Guest, type IdMap, type Operation, OperationError } from '../../../../src/protocol/operations.js';
import { devicesOf } from '../../../../src/sandbox/devices/devices.js';
import { coveredPaths } from '../../../../src/sandbox/devices/hidden-paths.js';
import type { ShareServer } from '../../../../src/sandbox/devices/shares.js';
import { checkDriver } from '../../../../src/sandbox/prepare/driver-check.js';
import { guestConfig } from '../../../../src/sandbox/setup/guest-config.js';
import { overlayRemedy } from '../../../../src/sandbox/setup/root-overlay.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const command = ['/bin/true'];

function devices(config: SandboxConfig, kind: ShareServer['kind']) {
  return devicesOf(config, {
    name: 'overlay',
    images: new Map(),
    server: { kind, readOnlyVirtiofs: false },
    root: '9p',
  });
}

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

test('a container has its kept layers where libvirt binds them', async () => {
  const config = await configFromOptions({ command, overlay: '/var/lib/box/', switchto: 'root' });
  const { guest, shares } = devices(config, 'lxc');
  assert.equal(guest.rootOverlay?.kept, '/dev/.sandbox/sandbox:overlay');
  const share = shares.find(({ tag }) => tag === 'sandbox:overlay');
  assert.deepEqual(share, {
    ...{ tag: 'sandbox:overlay', directory: '/var/lib/box/layers', readOnly: false, transport: '9p' },
  });
  const words = overlayArguments({ ...guest, identity: config.identity } as unknown as GuestConfig) ?? [];
  assert.equal(words.join(' ').includes(' --kept /dev/.sandbox/sandbox:overlay --wait 45 /newroot '), true);
});

test('a container is refused what its host would have to trust', {
  skip: unlessRoot('it asks for root first'),
}, async () => {
  const check = async (options: object) =>
    checkDriver(await configFromOptions({ command, switchto: 'root', ...options }), 'lxc');
  await assert.rejects(check({ overlay: '/var/lib/box.qcow2' }), {
    code: 'overlay-image-of-container',
    message: /kernel would have to mount a file system that sandboxes have written/,
    remedy: /--overlay=DIR.*qemu:\/\/\/embed/,
  });
  await assert.rejects(check({ overlay: '/var/lib/box/', userns: true }), { code: 'overlay-with-userns' });
  await check({ overlay: '/var/lib/box/' });
});

test('what an earlier run has put in the place of what is hidden is not covered', async () => {
  const [DIRECTORY, FILE, LINK] = [0o040_755, 0o100_644, 0o120_777];
  const modes: Readonly<Record<string, number>> = {
    '/a': DIRECTORY,
    '/a/file': FILE,
    '/a/was-file': DIRECTORY,
    '/a/link': LINK,
    '/link': LINK,
    '/link/file': FILE,
    '/file': FILE,
  };
  const stat = async ({ path }: { readonly path: string }) => {
    const mode = modes[path.slice('/newroot'.length)];
    if (mode === undefined) throw new OperationError('stat', constants.errno.ENOENT, path);
    return { value: { mode } };
  };
  const hidden = ['/a/file', '/a/was-file', '/a/link', '/a/gone/file', '/link/file', '/file/x'];
  const asked = hidden.map((path) => ({ path, isDirectory: false }));
  const guest = { call: stat } as unknown as Guest;
  assert.deepEqual(await coverable(guest, asked, true), [
    { path: '/a/file', isDirectory: false },
    { path: '/a/was-file', isDirectory: true },
  ]);
  assert.equal((await coverable(guest, asked, false)).length, hidden.length);
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
  assert.match(overlayRemedy({ errno: ENOSPC, isOfIds: false }, { isKept: true }), /where the overlay is kept/);
  // It is no matter of which root.
  assert.match(
    overlayRemedy({ errno: EINVAL, isOfIds: false }, { isImage: true }),
    /^it takes Linux 5\.19 with overlayfs; or/,
  );
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
  await assert.rejects(saying(9, ''), { errno: 0, isOfIds: false, isInUse: false });
  const busy = 'root-overlay: 16 cannot lock what is kept for /newroot: Resource busy\n';
  await assert.rejects(saying(256, busy), { errno: 16, isInUse: true });
});

test('the memory of a container’s layers is kept before they are made, and is what is missing if it is', async () => {
  const config = { rootOverlay: { program: '/native/root-overlay', bytes: 1 << 20 }, identity: { uid: 0 } };
  const calling = async (failing?: string) => {
    const called: string[] = [];
    const call = async ({ op, ...rest }: Operation) => {
      called.push('path' in rest ? `${op} ${rest.path}` : 'target' in rest ? `${op} ${rest.target}` : op);
      if (op === failing) throw new OperationError(op, 12, 'mount(tmpfs): Cannot allocate memory');
      if (called.length > 2 && failing !== undefined) throw new OperationError(op, 0, 'skipped', true);
      return { value: { status: 0, output: Buffer.of() } };
    };
    await layOverRoot({ call } as unknown as Guest, config as unknown as GuestConfig);
    return called;
  };
  const stage = '/dev/.overlay';
  assert.deepEqual((await calling()).slice(0, 4), [`mkdir ${stage}`, `mount ${stage}`, `keep ${stage}`, 'run']);
  await assert.rejects(calling('mount'), { name: 'RootOverlayError', errno: 12, isOfIds: false });
});

test('root inside cannot replace a shell that is root of the host', async () => {
  const options = { command, overlay: true, shell: true } as const;
  const of = async (more: object) => devices(await configFromOptions({ ...options, ...more }), 'lxc').shell;
  await assert.rejects(of({ switchto: 'root' }), { code: 'shell-with-overlay' });
  for (const more of [{ overlay: undefined, switchto: 'root' }, { privileged: true }, { switchto: 'nobody' }])
    assert.ok(await of(more));
  // An earlier run may have.
  const kept = { overlay: '/var/lib/box/' };
  for (const more of [{ switchto: 'root' }, { switchto: 'nobody' }])
    await assert.rejects(of({ ...kept, ...more }), { code: 'shell-with-overlay', message: /an earlier one/ });
  assert.ok(await of({ ...kept, privileged: true }));
});
