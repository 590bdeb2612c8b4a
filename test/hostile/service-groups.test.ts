/**
 * Promise: root beside the systemd of a container, which may do anything to the control groups of its sandbox, ends or
 * holds that sandbox alone: its holder stays, `stop` ends it within its time, and nothing is left.
 * The attacker is that root. The victims are its init, its holder, and a sandbox beside it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { assertNothingLeft, exceptLogs } from '../helpers/leftovers.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';
import { unitService } from '../helpers/unit-services.js';

const UNITS = { 'steady.service': '[Service]\nExecStart=/bin/sleep infinity\n' };

/** Below the mount of its own control groups is that of the whole sandbox, with a group of the init. */
const REACH = 'umount -l /sys/fs/cgroup; cd /sys/fs/cgroup && ls -d init systemd &&';

/** How long a stop may take beside the time that it is given, in milliseconds. */
const GRACE_MS = 15_000;

const ATTACKS = {
  'freezes all of it': 'echo 1 >cgroup.freeze',
  'kills its init': 'echo 1 >init/cgroup.kill',
  'moves its init to the group of systemd':
    'for one in $(cat init/cgroup.procs); do echo $one >systemd/cgroup.procs; done; echo 1 >systemd/cgroup.freeze',
} as const;

describe('root beside the systemd of a container', { skip: lxc.skip || unlessHostSystemd }, () => {
  for (const [what, attack] of Object.entries(ATTACKS))
    it(`${what}, and is stopped all the same`, async (t) => {
      const beside = await unitService(t, lxc, UNITS, ['steady.service']);
      const service = await unitService(t, lxc, UNITS, ['steady.service']);
      await beside.ok(['start']);
      await service.ok(['start']);
      // It reaches them: else this would try nothing.
      const reached = await service.run(['execute'], ['--', 'sh', '-c', `${REACH} true`]);
      assert.equal(reached.out, 'init\nsystemd\n');
      // What it has frozen answers no more.
      const attacking = service.run(['execute'], ['--', 'sh', '-c', `${REACH} { ${attack}; }`], { timeout: 5000 });
      await attacking.catch(() => {});
      const begun = performance.now();
      const { code, stderr } = await service.run(['stop', '-t', '2'], [], { timeout: 60_000 });
      const taken = performance.now() - begun;
      assert.equal(code, 0, stderr);
      assert.ok(taken < 2000 + GRACE_MS, `${taken} ms`);
      t.diagnostic(`stopped after ${(taken / 1000).toFixed(1)} s`);
      await assertNothingLeft(service.name, { ...exceptLogs(lxc.where), state: '/run/libvirt-sandbox' });
      assert.equal((await beside.status()).units?.[0]?.active, 'active');
      await service.ok(['start']);
      await service.ok(['stop']);
    });
});
