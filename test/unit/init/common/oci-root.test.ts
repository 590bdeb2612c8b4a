/** What the plan has for the root of an OCI image, and where files of the host go in one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { processOperation } from '../../../../init/common/application.js';
import type { GuestConfig } from '../../../../init/common/config.js';
import { findDevices } from '../../../../init/common/disks.js';
import { OCI_CAPABILITIES, setUpHostFiles } from '../../../../init/common/oci-root.js';
import { planSandbox } from '../../../../init/common/plan.js';
import { type Guest, type Operation, OperationError } from '../../../../src/protocol/operations.js';

const ENOENT = 2;
const MS_NODEV = 4;

function guestConfig(changes: Partial<GuestConfig> = {}): GuestConfig {
  return {
    platform: 'machine',
    root: { type: 'image', serial: 'root', filesystem: 'erofs', options: '', readOnly: true },
    overlay: { type: 'ram', mode: 0o755, uid: 0, gid: 0 },
    ociRoot: true,
    hostname: 'box',
    identity: { uid: 0, gid: 0, groups: [], username: 'root', home: '/root' },
    privileged: false,
    environment: [],
    mounts: [],
    disks: [],
    command: ['/bin/true'],
    cwd: '/work',
    ...changes,
  } as unknown as GuestConfig;
}

const DEVICES = new Map([
  ['root', '/dev/vda'],
  ['overlay', '/dev/vdb'],
  ['overlay/vdb1', '/dev/vdb1'],
]);

function operations(config: GuestConfig): Operation[] {
  const inputs = { now: undefined, entropy: new Uint8Array(), devices: DEVICES };
  return planSandbox(config, inputs).flatMap(({ calls }) => calls.map(({ operation }) => operation));
}

const mounts = (config: GuestConfig) =>
  operations(config).flatMap((operation) => (operation.op === 'mount' ? [operation] : []));

describe('the plan for an OCI image', () => {
  it('leaves its /run and /tmp', () => {
    const targets = mounts(guestConfig()).map(({ target }) => target);
    for (const target of ['/run', '/tmp']) assert.ok(!targets.includes(target), target);
    const made = operations(guestConfig()).flatMap((operation) => (operation.op === 'mkdir' ? [operation] : []));
    assert.equal(made.find(({ path }) => path.endsWith('/tmp'))?.mode, 0o1777);
    const others = mounts(guestConfig({ ociRoot: false })).map(({ target }) => target);
    for (const target of ['/run', '/tmp']) assert.ok(others.includes(target), target);
  });

  it('makes its working directory before anything is mounted that a link in it could lead to', () => {
    const share = { type: 'virtiofs', tag: 'share', target: '/work', readOnly: false } as const;
    const done = operations(guestConfig({ madeDirectory: '/work', mounts: [share] }));
    const [made, mounted] = [
      done.findIndex((each) => each.op === 'mkdir' && each.path === '/work'),
      done.findIndex((each) => each.op === 'mount' && each.source === 'share'),
    ];
    assert.ok(made > done.findIndex(({ op }) => op === 'switchRoot') && made < mounted, `${made}, ${mounted}`);
    assert.deepEqual(done[made], { op: 'mkdir', path: '/work', mode: 0o755 });
  });

  it('lets its device nodes open nothing, but for who has all capabilities', () => {
    const flagsOf = (changes: Partial<GuestConfig>) =>
      (mounts(guestConfig(changes)).find(({ fstype }) => fstype === 'overlay')?.flags ?? 0) & MS_NODEV;
    assert.equal(flagsOf({}), MS_NODEV);
    assert.equal(flagsOf({ privileged: true }), 0);
    assert.equal(flagsOf({ ociRoot: false }), 0);
  });

  it('covers the disk that keeps the overlay, with its partitions, behind the last step that uses it', () => {
    const overlay = { type: 'image', serial: 'overlay', mode: 0o755, uid: 0, gid: 0, of: 'abc' } as const;
    const all = mounts(guestConfig({ overlay }));
    const covers = all.filter(({ target }) => target.startsWith('/dev/vdb'));
    assert.deepEqual(
      covers.map(({ source, target }) => [source, target]),
      [
        ['/dev/null', '/dev/vdb'],
        ['/dev/null', '/dev/vdb1'],
      ],
    );
    assert.ok(all.findIndex(({ source }) => source === '/dev/vdb') < all.indexOf(covers[0] ?? assert.fail()));
    assert.deepEqual(
      mounts(guestConfig({ overlay, privileged: true })).filter(({ target }) => target.startsWith('/dev/vdb')),
      [],
    );
    assert.match(
      all.find(({ fstype }) => fstype === 'overlay')?.data ?? '',
      /upperdir=\/overlay\/kept\/image-abc\/upper/,
    );
  });

  it('finds the partitions of that disk alone', async () => {
    const names: Readonly<Record<string, readonly string[]>> = {
      '/sys/block': ['vda', 'vdb', 'loop0'],
      '/sys/block/vda': ['vda1', 'queue'],
      '/sys/block/vdb': ['size', 'vdb1', 'vdb128', 'queue'],
    };
    const call = async (operation: Operation) => {
      if (operation.op === 'listDir') return { microseconds: 0, value: names[operation.path] };
      if (operation.op === 'readFile' && operation.path.endsWith('a/serial')) return { value: Buffer.from('root\n') };
      if (operation.op === 'readFile' && operation.path.endsWith('b/serial'))
        return { value: Buffer.from('overlay\n') };
      throw new OperationError(operation.op, ENOENT, 'no such file');
    };
    const overlay = { type: 'image', serial: 'overlay', mode: 0o755, uid: 0, gid: 0 } as const;
    const found = await findDevices({ call } as unknown as Guest, guestConfig({ overlay }));
    assert.deepEqual([...found.values()].sort(), ['/dev/vda', '/dev/vdb', '/dev/vdb1', '/dev/vdb128']);
  });

  it('gives root what podman gives to it, and all with privileged', () => {
    assert.equal(OCI_CAPABILITIES, 0x800405fbn);
    assert.equal(processOperation(guestConfig(), '/').capabilities, OCI_CAPABILITIES);
    assert.equal(processOperation(guestConfig({ privileged: true }), '/').capabilities, 0xffff_ffff_ffff_ffffn);
    assert.equal(processOperation(guestConfig({ ociRoot: false }), '/').capabilities, 0n);
  });
});

describe('files that name the host', () => {
  /** What is written or mounted, on an image with those files and links. */
  async function provided(there: readonly string[], links: Readonly<Record<string, string>>, config = guestConfig()) {
    const done: string[] = [];
    const call = async (operation: Operation) => {
      const answer = (value: unknown) => ({ microseconds: 0, value });
      if (operation.op === 'stat' && !operation.follow && operation.path in links) return answer({ mode: 0o120_777 });
      if (operation.op === 'stat' && there.includes(operation.path)) return answer({ mode: 0o100_644 });
      if (operation.op === 'stat') throw new OperationError('stat', ENOENT, 'no such file');
      if (operation.op === 'writeFile') done.push(`write ${operation.path}`);
      if (operation.op === 'mount') done.push(`mount ${operation.source} ${operation.target}`);
      return answer(operation.op === 'readLink' ? links[operation.path] : undefined);
    };
    await setUpHostFiles({ call } as Guest, config);
    return done.sort();
  }

  it('are not written to a directory of the host by a link', async () => {
    const mounts = [{ type: 'virtiofs', tag: 'mount', target: '/mnt', readOnly: false }] as const;
    const links = { '/etc/hosts': '/mnt/made', '/etc/hostname': '../srv/name' };
    assert.deepEqual(await provided([], links, guestConfig({ mounts })), ['write /srv/name']);
  });
});
