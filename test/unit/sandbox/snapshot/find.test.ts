/** Which of several snapshots a sandbox is offered. No machine is booted. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ConfigOptions, configFromOptions } from '../../../../src/config/options.js';
import type { Slots } from '../../../../src/config/parsers/slots.js';
import { publishSnapshot } from '../../../../src/image/snapshot/publish.js';
import { SNAPSHOT_MEMORY, SNAPSHOT_STATE, snapshotsOf } from '../../../../src/image/snapshot/record.js';
import { loadProfile } from '../../../../src/profile/load.js';
import { neededSlots } from '../../../../src/sandbox/devices/slots.js';
import { moduleSets } from '../../../../src/sandbox/prepare/module-sets.js';
import { findSnapshots } from '../../../../src/sandbox/snapshot/find.js';
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

/** The snapshots offered to a sandbox with these options, and the reason if there are none. */
async function offered(image: string, options: ConfigOptions) {
  const config = await configFromOptions({ command: ['true'], ...options });
  const devices = devicesOfSession(config);
  const needs = { slots: neededSlots(devices), sets: moduleSets(devices), virtiofsRoot: false, late: 0 };
  const profile = await loadProfile(undefined);
  const snapshots = async () => ({ snapshots: snapshotsOf(image), refused: [] });
  const images = { named: image, known: () => undefined, snapshots };
  const { candidates, reason } = await findSnapshots({
    config,
    devices,
    profile,
    needs,
    images,
    options: {},
    kind: 'session',
  });
  return { slots: candidates.map(({ record }) => record.slots), reason: reason.replace(/\/\S+/, 'IMAGE') };
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
      assert.deepEqual(await offered(image, options), { slots, reason }),
    );
});

test('snapshots of the same machine come before smaller ones of another', async (t) => {
  const profile = await loadProfile(undefined);
  const own = machineSignature({ memory: 512 << 20, vcpus: 1, acceleration: 'tcg', profile, slots: LARGE, sets: MORE });
  const image = await snapshotsWith(t, [SMALL, USUAL], [LARGE, MORE, own]);
  assert.deepEqual((await offered(image, {})).slots, [LARGE, SMALL]);
});

test('of those with as many slots, snapshots with fewer module sets come first', async (t) => {
  const other: Slots = { mounts: 3, disks: 1, networks: 0 };
  const one = await snapshotsWith(t, [SMALL, MORE], [other, USUAL]);
  assert.deepEqual((await offered(one, {})).slots, [other, SMALL]);
  const another = await snapshotsWith(t, [SMALL, USUAL], [other, MORE]);
  assert.deepEqual((await offered(another, {})).slots, [SMALL, other]);
});

test('a snapshot with slots but without their modules is not offered', async (t) => {
  const image = await snapshotsWith(t, [MIDDLE, USUAL]);
  assert.deepEqual(await offered(image, { network: ['dhcp'] }), {
    slots: [],
    reason: 'the snapshot IMAGE was baked without network',
  });
});

test('without snapshots, the reason says so', async (t) => {
  assert.deepEqual(await offered(await snapshotsWith(t), {}), { slots: [], reason: 'there is no snapshot' });
});
