/**
 * Promise: programs in a snapshot reach nothing that those who go on from it do not, and cost them no start. The
 * attackers: root in such a machine, before and after it is saved, and the record of a snapshot from elsewhere. The
 * victims: the kernel of the guest, the init, and the launcher.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { KEPT_FD, KEPT_SECOND_FD } from '../../src/protocol/wire.js';
import { ACCEL } from '../helpers/acceleration.js';
import { bakeJson } from '../helpers/bake.js';
import { makeCache, removeCache } from '../helpers/cache.js';
import { embedded } from '../helpers/connections.js';
import { busyboxImage, layoutWith, unlessImages } from '../helpers/oci/busybox.js';
import { type RunResult, runSandbox } from '../helpers/run.js';
import { freshDirectory } from '../helpers/scratch.js';
import { type Baked, recordOf, resealSnapshot } from '../helpers/snapshots.js';

/** What root tries: the /sys that the init keeps, the one of the root, and what the kernel starts. */
const ATTACK = [
  `for fd in ${KEPT_FD} ${KEPT_SECOND_FD}; do for p in 1 self; do ls /proc/$p/fd/$fd/ && echo reached; done; done`,
  'echo 1 >/sys/bus/pci/rescan && echo reached',
  'mount -t sysfs none /mnt && echo reached',
  'mount -o remount,rw /sys && echo reached',
  'echo "|/bin/sh" >/proc/sys/kernel/core_pattern && echo reached',
  'grep -q "CapEff:.0*$" /proc/self/status || grep CapEff /proc/self/status',
].join('; ');

describe('programs in a snapshot', { skip: embedded.skip || unlessImages() }, () => {
  const cache = makeCache();
  const ground = freshDirectory('/var/tmp');
  const root = layoutWith(join(ground, 'image'), busyboxImage({}, []));
  let baked: Baked;
  before(async () => {
    // It goes on attacking, and writes as much as it can.
    const program = `while :; do { ${ATTACK}; } >>/tmp/attack 2>&1; yes | head -c 2000000; sleep 0.2; done`;
    const words = ['--prepare', `echo up; ${program}`, '--ready', 'line:up', '--notify', 'STOP'];
    const create = ['create', '--warm', '-n', 'attack', '--root', root, '--for', ACCEL.join(' '), ...words];
    baked = await bakeJson<Baked>(cache, create);
  });
  after(() => {
    removeCache(cache);
    rmSync(ground, { recursive: true, force: true });
  });
  const run = (script: string): Promise<RunResult> =>
    runSandbox(
      ['-c', embedded.uri, ...ACCEL, '--boot', 'warm', '--image', 'attack', '--root', root, '--', 'sh', '-c', script],
      { env: { XDG_CACHE_HOME: cache } },
    );

  it('reach no /sys that can be written to, and nothing of the init', async () => {
    const { code, out, stderr } = await run(`cat /tmp/attack; ${ATTACK}`);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(out, /reached/);
    // They have what root of an image has, and no more.
    const masks = [...out.matchAll(/^CapEff:\t([0-9a-f]+)$/gm)].map(([, mask]) => mask);
    assert.ok(masks.length >= 1);
    assert.deepEqual([...new Set(masks)], ['00000000800405fb']);
  });

  it('that a record only names cost no start', async () => {
    const { prepared } = recordOf(baked);
    assert.ok(prepared !== undefined);
    for (const process of [0, 1, 77, 2 ** 32 - 1, 2 ** 40]) {
      await resealSnapshot(baked.warm, { prepared: { ...prepared, process, notify: 9 } });
      const { code, out, stderr } = await run('echo well');
      if (code === 0) assert.equal(out, 'well\n');
      else assert.match(stderr, /^virt-sandbox: [a-z]+: [^\n]+; [^\n]+\n/, `${process}`);
    }
    await resealSnapshot(baked.warm, { prepared });
    assert.equal((await run('echo well')).out, 'well\n');
  });
});
