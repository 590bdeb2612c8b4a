/** Which of several snapshots a sandbox is offered. No machine is booted. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ConfigOptions, configFromOptions } from '../../../../src/config/options.js';
import type { Slots } from '../../../../src/config/parsers/slots.js';
import type { BootImage } from '../../../../src/image/resolve.js';
import { publishSnapshot } from '../../../../src/image/snapshot/publish.js';
import { SNAPSHOT_MEMORY, SNAPSHOT_STATE, snapshotsOf } from '../../../../src/image/snapshot/record.js';
import { loadProfile } from '../../../../src/profile/load.js';
import { inspectImages } from '../../../../src/sandbox/devices/disks.js';
import { neededSlots } from '../../../../src/sandbox/devices/slots.js';
import { withAnyImage } from '../../../../src/sandbox/image-root/any-image.js';
import { moduleSets } from '../../../../src/sandbox/prepare/module-sets.js';
import { findSnapshots, type KnownImages } from '../../../../src/sandbox/snapshot/find.js';
import { machineSignature } from '../../../../src/sandbox/snapshot/machine.js';
import { devicesOfSession } from '../../../helpers/devices.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const USUAL = ['console', 'root-9p'];
const MORE = [...USUAL, 'block', 'filesystem-ext4', 'network'];
const SMALL: Slots = { mounts: 4, disks: 0, networks: 0 };
const MIDDLE: Slots = { mounts: 1, disks: 3, networks: 1 };
const LARGE: Slots = { mounts: 4, disks: 1, networks: 2 };

/** A boot image's directory with snapshots that have these slots. */
async function snapshotsWith(
  t: TestContext,
  ...all: readonly (readonly [Slots, readonly string[], machine?: string])[]
): Promise<string> {
  const directory = scratchDirectory(t);
  for (const [slots, sets, machine = 'machine'] of all)
    await publishSnapshot(directory, async (workspace) => {
      for (const name of [SNAPSHOT_MEMORY, SNAPSHOT_STATE]) await writeFile(join(workspace, name), name);
      const facts = { image: '0'.repeat(32), memory: 512 << 20, vcpus: 1, acceleration: 'tcg', machine } as const;
      return { ...facts, sets, slots, host: {}, owner: 0, ready: {} };
    });
  return `${directory}/`;
}

/**
 * The snapshots offered to a sandbox with these options, and the reason if there are none.
 * @param known the boot image that would be built now with these module sets
 */
async function offered(image: string, options: ConfigOptions, known: KnownImages['known'] = () => undefined) {
  const config = withAnyImage(await configFromOptions({ command: ['true'], ...options }));
  const devices = devicesOfSession(config, undefined, await inspectImages(config));
  const needs = { slots: neededSlots(devices), sets: moduleSets(devices), virtiofsRoot: false, late: 0 };
  const profile = await loadProfile(undefined);
  const snapshots = async () => ({ snapshots: snapshotsOf(image), refused: [] });
  const images = { named: undefined, known, snapshots, find: () => assert.fail('nothing is built') };
  const { candidates, reason, ...chosen } = await findSnapshots({
    config,
    devices,
    profile,
    needs,
    images,
    options: {},
    kind: 'session',
  });
  const slots = candidates.map(({ record }) => record.slots);
  return { found: { slots, reason: reason.replace(/\/\S+/, 'IMAGE') }, chosen };
}

async function slotsOffered(...args: Parameters<typeof offered>) {
  return (await offered(...args)).found.slots;
}

test('snapshots with enough slots are offered, the smallest first', async (t) => {
  const image = await snapshotsWith(t, [LARGE, MORE], [SMALL, USUAL], [MIDDLE, MORE]);
  const disks = (count: number) => Array.from({ length: count }, (_, index) => `file:d${index}=/srv/${index}.img`);
  const table: [ConfigOptions, readonly Slots[], string][] = [
    [{}, [SMALL, MIDDLE, LARGE], ''],
    [{ mount: ['host-bind:/a=/tmp', 'host-bind:/b=/tmp'] }, [SMALL, LARGE], ''],
    [{ mount: ['ram:/a=1M', 'guest-bind:/b=/tmp'] }, [SMALL, MIDDLE, LARGE], ''],
    [{ disk: disks(1) }, [MIDDLE, LARGE], ''],
    [{ disk: disks(2), network: ['dhcp'] }, [MIDDLE], ''],
    [{ network: ['dhcp', 'dhcp'] }, [LARGE], ''],
    // The reason is that of the largest.
    [{ disk: disks(2), network: ['dhcp', 'dhcp'] }, [], 'the snapshot IMAGE has no slot for a second disk'],
    [{ network: ['dhcp', 'dhcp', 'dhcp'] }, [], 'the snapshot IMAGE has no slot for a third network'],
    [{ memory: '1G' }, [], 'no snapshot has just this memory and these processors'],
  ];
  for (const [options, slots, reason] of table)
    await t.test(JSON.stringify(options), async () =>
      assert.deepEqual((await offered(image, options)).found, { slots, reason }),
    );
});

test('snapshots of the same machine come before smaller ones of another', async (t) => {
  const profile = await loadProfile(undefined);
  const own = machineSignature({ memory: 512 << 20, vcpus: 1, acceleration: 'tcg', profile, slots: LARGE, sets: MORE });
  const image = await snapshotsWith(t, [SMALL, USUAL], [LARGE, MORE, own]);
  assert.deepEqual(await slotsOffered(image, {}), [LARGE, SMALL]);
});

test('of those with as many slots, snapshots with fewer module sets come first', async (t) => {
  const other: Slots = { mounts: 3, disks: 1, networks: 0 };
  const one = await snapshotsWith(t, [SMALL, MORE], [other, USUAL]);
  assert.deepEqual(await slotsOffered(one, {}), [other, SMALL]);
  const another = await snapshotsWith(t, [SMALL, USUAL], [other, MORE]);
  assert.deepEqual(await slotsOffered(another, {}), [SMALL, other]);
});

test('a snapshot with slots but without their modules is not offered', async (t) => {
  const image = await snapshotsWith(t, [MIDDLE, USUAL]);
  assert.deepEqual((await offered(image, { network: ['dhcp'] })).found, {
    slots: [],
    reason: 'the snapshot IMAGE was baked without network',
  });
});

test('without snapshots, the reason says so', async (t) => {
  assert.deepEqual((await offered(await snapshotsWith(t), {})).found, { slots: [], reason: 'there is no snapshot' });
});

test('the root of any OCI image needs a slot for a disk and its file systems', async (t) => {
  const root = 'docker://debian:13';
  const sets = ['console', 'block', 'filesystem-erofs', 'overlay'];
  const image = await snapshotsWith(t, [SMALL, USUAL], [LARGE, [...sets, 'root-9p']], [MIDDLE, MORE]);
  assert.deepEqual(await slotsOffered(image, { root }), [LARGE]);
  assert.deepEqual(await slotsOffered(image, { root, overlay: 'memory', mount: ['ram:/a=1M'] }), [LARGE]);
  assert.deepEqual((await offered(await snapshotsWith(t, [MIDDLE, MORE]), { root })).found, {
    slots: [],
    reason: 'the snapshot IMAGE was baked without filesystem-erofs and overlay',
  });
  assert.deepEqual((await offered(await snapshotsWith(t, [SMALL, USUAL]), { root })).found, {
    slots: [],
    reason: 'the snapshot IMAGE has no slot for a disk',
  });
});

test('a snapshot is looked into before a worse one is taken, unless it is known to be stale', async (t) => {
  const image = await snapshotsWith(t, [SMALL, USUAL], [LARGE, MORE]);
  const bootImage = (id: string) => ({ id }) as BootImage;
  const [current, other] = [bootImage('0'.repeat(32)), bootImage('1'.repeat(32))];
  const ofSmall = (sets: readonly string[]) => sets.length === USUAL.length;
  const choose = async (known: KnownImages['known']) => (await offered(image, {}, known)).chosen;
  assert.deepEqual(await choose(() => current), { image: current, sets: [USUAL] });
  assert.deepEqual(await choose(() => undefined), { image: undefined, sets: [USUAL, MORE] });
  assert.deepEqual(await choose((sets) => (ofSmall(sets) ? undefined : current)), {
    image: undefined,
    sets: [USUAL, MORE],
  });
  assert.deepEqual(await choose((sets) => (ofSmall(sets) ? other : current)), { image: current, sets: [MORE] });
  assert.deepEqual(await choose((sets) => (ofSmall(sets) ? other : undefined)), { image: undefined, sets: [MORE] });
  assert.deepEqual(await choose(() => other), { image: undefined, sets: [USUAL] });
});
