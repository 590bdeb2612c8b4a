/** Services that start warm: a snapshot is baked for the file of one. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { createdService, SERVICES } from '../helpers/services.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

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
});
