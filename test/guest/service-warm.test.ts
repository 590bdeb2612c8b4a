/** Services that start warm: a snapshot is baked for the file of one. */
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { programPaths, replaced } from '../helpers/hide.js';
import { servingKernel, unlessServingKernel } from '../helpers/kernels.js';
import { createdService, SERVICES, serviceOf } from '../helpers/services.js';
import { bakeSnapshot, copySnapshot, privateStore } from '../helpers/snapshots.js';

describe('a warm service', { skip: embedded.skip }, () => {
  for (const [what, options] of [
    ['with its state in a directory', []],
    ['with its state in an image, a network and other sizes', ['-i', '200', '-N', 'dhcp', '--memory', '300M']],
  ] as const)
    it(`${what} starts from what was baked for it, and keeps its state`, async (t) => {
      const { env, remove } = privateStore();
      t.after(remove);
      const on = { ...embedded, options: { ...embedded.options, env } };
      const service = await createdService(t, on, ['--boot', 'warm', ...options], ['--', 'sleep', '1000']);
      await service.fails(['start'], /there is no snapshot; bake one with: virt-sandbox-bake create --warm /);
      const file = join(SERVICES, service.name, 'config/sandbox.cfg');
      await bakeSnapshot(['-c', embedded.uri], { env }, ['--config', file]);
      for (const kept of ['', 'once\n']) {
        await service.ok(['start']);
        assert.equal((await service.status()).sandbox?.boot, 'warm');
        assert.equal(await service.inside('cat /srv/kept 2>/dev/null; echo once >>/srv/kept; sync'), kept);
        await service.ok(['stop']);
      }
    });

  it('starts cold when QEMU or its kernel has changed, and warm when they are as before', {
    skip: unlessServingKernel,
  }, async (t) => {
    const { env, remove } = privateStore();
    t.after(remove);
    // The snapshot is of the default profile, whatever profile the tests run under.
    const own = { ...env, VIRT_SANDBOX_PROFILE: 'default' };
    await copySnapshot(['-c', embedded.uri], own);
    const on = { ...embedded, options: { ...embedded.options, env: own } };
    // Of each QEMU, and each kernel, it would be found out whether KVM runs a guest.
    const service = await serviceOf(t, on, { options: ACCEL, script: 'uname -r; exec sleep 1000' });
    const [qemu = ''] = programPaths('qemu-system-x86_64', 'qemu-kvm');
    for (const [boot, changed] of [
      ['warm', undefined],
      ['cold', qemu],
      ['cold', `/boot/vmlinuz-${servingKernel}`],
      ['warm', undefined],
    ] as const) {
      const through = changed === undefined ? [] : replaced(t, changed, (copy) => appendFileSync(copy, 'x'));
      await service.ok(['start'], [], { through });
      assert.equal((await service.status()).sandbox?.boot, boot, changed);
      assert.match((await service.run(['status'])).out, new RegExp(`^ {2}sandbox .*, ${boot} boot, `, 'm'));
      assert.equal(await service.inside('uname -r'), `${servingKernel}\n`);
      await service.ok(['stop']);
    }
  });
});
