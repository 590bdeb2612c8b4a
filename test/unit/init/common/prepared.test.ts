/** What of a plan is done when a machine is saved with its root, and what is left. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GuestConfig } from '../../../../init/common/config.js';
import { planSandbox } from '../../../../init/common/plan.js';
import { stepsDone, stepsLeft } from '../../../../init/common/prepared.js';
import { rootKey } from '../../../../src/sandbox/snapshot/prepared.js';

const CONFIG: GuestConfig = {
  platform: 'machine',
  hostname: 'one',
  root: { type: 'image', serial: 'r0', filesystem: 'erofs', options: '', readOnly: true },
  overlay: { type: 'ram', mode: 0o755, uid: 0, gid: 0 },
  mounts: [{ type: '9p', tag: 'a', readOnly: true, target: '/mnt' }],
  disks: [],
  devices: undefined,
  identity: { uid: 0, gid: 0, groups: [], username: 'root', home: '/root' },
  privileged: false,
  ociRoot: true,
  madeDirectory: '/srv',
  environment: [],
  network: undefined,
  cwd: '/srv',
  command: ['true'],
  terminal: undefined,
};

const plan = (config: GuestConfig) =>
  planSandbox(config, { now: { seconds: 1n, nanoseconds: 0 }, entropy: new Uint8Array(64), devices: new Map() });
const names = (steps: readonly { readonly name: string }[]) => steps.map(({ name }) => name);

describe('a plan of a machine that was saved with its root', () => {
  it('has all steps once, done or left', () => {
    const [done, left, all] = [names(stepsDone(CONFIG)), names(stepsLeft(plan(CONFIG))), names(plan(CONFIG))];
    assert.deepEqual([...done, ...left].sort(), [...all].sort());
    assert.deepEqual(done, ['root', 'system', 'directories', 'confine']);
    assert.deepEqual(left, ['clock', 'mount.0', 'network']);
  });

  it('brings up no processors again', () => {
    assert.ok(names(stepsDone({ ...CONFIG, lateProcessors: 1 })).includes('processors'));
    assert.ok(!names(stepsLeft(plan({ ...CONFIG, lateProcessors: 1 }))).includes('processors'));
  });
});

describe('the key of a root', () => {
  const stored = { id: 'a'.repeat(64), path: '/image', mode: 0o755, uid: 0, gid: 0, stopSignal: undefined };
  const sandbox = (id: string) =>
    ({ root: { type: 'image', stored: { ...stored, id } } }) as Parameters<typeof rootKey>[0];
  const key = (config: Partial<GuestConfig> = {}, id = stored.id) => rootKey(sandbox(id), { ...CONFIG, ...config });

  it('is that of what is done alone', () => {
    const usual = key();
    assert.match(usual ?? '', /^[0-9a-f]{32}$/);
    for (const same of [{ hostname: 'two' }, { mounts: [] }, { command: ['false'] }, { lateProcessors: 3 }])
      assert.equal(key(same), usual, JSON.stringify(same));
    const others: readonly Partial<GuestConfig>[] = [
      { privileged: true },
      { userNamespaces: true },
      { ociRoot: false },
      { madeDirectory: '/other' },
      { overlay: { type: 'ram', mode: 0o700, uid: 0, gid: 0 } },
      { root: { type: 'image', serial: 'r1', filesystem: 'erofs', options: '', readOnly: true } },
    ];
    for (const other of others) assert.notEqual(key(other), usual, JSON.stringify(other));
    assert.notEqual(key({}, 'b'.repeat(64)), usual);
  });

  it('is none where the root cannot be saved', () => {
    assert.equal(key({}, ''), undefined);
    assert.equal(key({ overlay: undefined }), undefined);
    assert.equal(key({ overlay: { type: 'virtiofs', tag: 'a' } }), undefined);
    assert.equal(
      rootKey({ root: { type: 'directory', path: '/' } } as Parameters<typeof rootKey>[0], CONFIG),
      undefined,
    );
  });
});
