/** Services that are units of a systemd, from their start to their end. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';
import { itHasUnits, STEADY, unitService } from '../helpers/unit-services.js';

describe('a service of units', { skip: embedded.skip || unlessHostSystemd }, () => {
  itHasUnits(embedded);

  it('is unhealthy when one fails later, and starts anew', async (t) => {
    const units = { 'steady.service': STEADY };
    const service = await unitService(t, embedded, units, Object.keys(units), '--restart', 'on-failure');
    service.set({ healthinterval: 100 });
    await service.ok(['start']);
    await service.inside('systemctl kill --signal KILL steady');
    const { lastEnd } = await service.until(({ state, restarts }) => state === 'running' && restarts === 1);
    assert.equal(lastEnd?.why, 'unhealthy');
    const { stderr } = await service.run(['logs']);
    assert.match(stderr, /it is unhealthy: the unit steady\.service is failed \(failed\)/);
  });
});
