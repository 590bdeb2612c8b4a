/** Options change a configuration that is there already, as that of a sandbox.cfg: --config. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigOptions, configFromOptions } from '../../../src/config/options.js';
import { testUsers } from './support.js';

/** For each option a value other than the default, and then another one. */
const BASE: ConfigOptions = {
  ...{
    name: 'a',
    root: '/a',
    kmodpath: '/m',
    kernver: '1.2',
    kernpath: '/k',
    profile: 'fast',
    memory: '300',
    vcpus: '2',
  },
  ...{ accel: 'tcg', boot: 'cold', cwd: '/a', bootTimeout: '9', security: 'inherit', cpuShares: '9', cpuPin: '1' },
  ...{ shell: true, debug: true, verbose: true, privileged: true, tty: true, command: ['a'], env: ['A=1'] },
  ...{ mount: ['ram:/a=1M'], network: ['dhcp'], disk: ['file:a=/a.img'] },
  ...{ diskLimit: ['a:total_iops_sec=1'], netLimit: ['0:inbound.average=1'] },
  ...{ cpuQuota: '1000', cpuPeriod: '1000', cpuScheduler: 'idle', numaNodes: '0', memoryLimit: '300' },
  ...{ memorySoftLimit: '100', memorySwapLimit: '900', hugePages: '2M', blockWeight: '110', ioThreads: '1' },
};
const CHANGES: ConfigOptions = {
  ...{ name: 'b', root: '/b', kmodpath: '/n', kernver: '2.3', kernpath: '/l', profile: 'default', memory: '400' },
  ...{ vcpus: '3', accel: 'auto', boot: 'auto', cwd: '/b', bootTimeout: '8', security: 'dynamic', cpuShares: '8' },
  ...{ cpuPin: '2', command: ['b'] },
  ...{ cpuQuota: '2000', cpuPeriod: '2000', cpuScheduler: 'batch', numaNodes: '1', memoryLimit: '301' },
  ...{ memorySoftLimit: '101', memorySwapLimit: '901', hugePages: 'default', blockWeight: '111', ioThreads: '2' },
};
const ADDITIONS = {
  ...{ env: ['C=2'], mount: ['ram:/b=2M'], network: ['address=10.0.0.2'], disk: ['file:b=/b.img'] },
  ...{ diskLimit: ['b:total_iops_sec=2'], netLimit: ['1:inbound.average=2'], numa: ['0:cpus=0-1'] },
} satisfies ConfigOptions;

test('options change an existing sandbox', async (t) => {
  const users = await testUsers(t);
  const base = await configFromOptions(BASE, users);
  assert.deepEqual(await configFromOptions({}, users, base), base);
  for (const [option, value] of Object.entries(CHANGES)) {
    const changed = await configFromOptions({ [option]: value }, users, base);
    assert.notDeepEqual(changed, base, option);
  }
  assert.deepEqual(
    await configFromOptions(CHANGES, users, base),
    await configFromOptions({ ...BASE, ...CHANGES }, users),
  );
  const both = Object.entries(ADDITIONS).map(([option, added]) => [
    option,
    [...((BASE as Record<string, readonly string[]>)[option] ?? []), ...added],
  ]);
  const expected = await configFromOptions({ ...BASE, ...Object.fromEntries(both) }, users);
  assert.deepEqual(await configFromOptions(ADDITIONS, users, base), expected);
});

test('--network none leaves no network, not even that of an existing sandbox', async (t) => {
  const users = await testUsers(t);
  const base = await configFromOptions({ network: ['dhcp'], command: ['a'] }, users);
  assert.deepEqual((await configFromOptions({ network: ['none'] }, users, base)).networks, []);
  const plain = await configFromOptions({ command: ['a'] }, users);
  assert.deepEqual(await configFromOptions({ network: ['none'], command: ['a'] }, users), plain);
});

test('another identity or kernel replaces that of an existing sandbox as a whole', async (t) => {
  const users = await testUsers(t);
  const base = await configFromOptions(BASE, users);
  const other = await configFromOptions({ switchto: 'ada' }, users, base);
  assert.deepEqual([other.identity.username, other.privileged], ['ada', undefined]);
  const version = await configFromOptions({ kernver: '2.3' }, users, base);
  assert.deepEqual(version.kernel, { version: '2.3', path: undefined, modulesPath: '/m' });
  const image = await configFromOptions({ image: 'baked' }, users, base);
  assert.deepEqual(image.kernel, { version: undefined, path: undefined, modulesPath: undefined });
  assert.equal(image.image, 'baked');
  assert.equal((await configFromOptions({ kernver: '2.3' }, users, image)).image, undefined);
});
