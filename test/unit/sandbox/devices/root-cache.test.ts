/** Who is told what is kept of the root: virtiofsd by libvirt or by root-view, or for 9p the guest in its mount. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountSteps, rootStep } from '../../../../init/common/mounts.js';
import type { Step } from '../../../../init/common/step.js';
import { configFromOptions } from '../../../../src/config/options.js';
import { shareElement } from '../../../../src/domain/shares.js';
import { toXml } from '../../../../src/domain/xml.js';
import { devicesOf } from '../../../../src/sandbox/devices/devices.js';
import { serverWords } from '../../../../src/sandbox/devices/root-server.js';
import type { RootTransport } from '../../../../src/sandbox/devices/root-transport.js';
import { guestConfig } from '../../../../src/sandbox/setup/guest-config.js';

const command = ['/bin/true'];

async function sandboxWith(
  options: { readonly rootCache?: string; readonly mount?: string[] },
  root: RootTransport,
  kind: 'session' | 'system' = 'session',
) {
  const config = await configFromOptions({ command, ...options });
  const server = { kind, readOnlyVirtiofs: false } as const;
  const devices = devicesOf(config, { name: 'cache', images: new Map(), server, root });
  return { devices, guest: guestConfig(config, { name: 'cache', devices }) };
}

/** How 9p is mounted, without what is the same for all. */
function cachesOf(steps: readonly Step[]): string[] {
  const operations = steps.flatMap(({ calls }) => calls.map(({ operation }) => operation));
  return operations.flatMap((operation) =>
    operation.op === 'mount' && operation.fstype === '9p' ? operation.data.replace(/^.*msize=\d+,/, '') : [],
  );
}

for (const [rootCache, ofVirtiofsd, of9p] of [
  [undefined, undefined, 'cache=none'],
  ['auto', undefined, 'cache=none'],
  ['never', 'none', 'cache=none'],
  ['always', 'always', 'cache=loose'],
] as const)
  test(`--root-cache ${rootCache ?? 'by default'}`, async () => {
    const options = rootCache === undefined ? {} : { rootCache };
    const ofDaemon = (await sandboxWith(options, 'virtiofs', 'system')).devices.shares[0];
    assert.ok(ofDaemon);
    const xml = toXml({ filesystem: shareElement(ofDaemon) });
    assert.equal(/<cache mode="(\w+)"/.exec(xml)?.[1], ofVirtiofsd);
    const [ahead] = (await sandboxWith(options, 'virtiofs')).devices.shares;
    assert.equal(serverWords(ahead, '/run/s', 7).at(-1), rootCache ?? 'auto');
    const { guest } = await sandboxWith({ ...options, mount: ['host-bind:/mnt=/srv,ro'] }, '9p');
    assert.deepEqual(cachesOf([rootStep(guest, new Map())]), [of9p]);
    assert.deepEqual(cachesOf(mountSteps(guest, new Map())), ['cache=none']);
    // As an ordinary user has it.
    const mounts = guest.mounts.map((mount) => (mount.type === '9p' ? { ...mount, readOnly: false } : mount));
    assert.deepEqual(cachesOf(mountSteps({ ...guest, mounts }, new Map())), ['cache=mmap,directio']);
  });

test('a mount that replaces the root is cached as every mount', async () => {
  const { guest } = await sandboxWith({ rootCache: 'always', mount: ['host-bind:/=/srv,ro'] }, '9p');
  assert.deepEqual(cachesOf([rootStep(guest, new Map())]), ['cache=none']);
});
