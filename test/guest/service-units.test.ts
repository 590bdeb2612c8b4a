/** Services that are units of a systemd, from their start to their end. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';
import { itHasUnits, unitService } from '../helpers/unit-services.js';

const UNITS = {
  'steady.service': `[Service]
ExecStart=/bin/sh -c 'echo steady runs; exec sleep 1000'
ExecReload=/bin/sh -c 'echo steady reloads; echo x >>/run/reloads'
`,
  'fails.service': `[Service]
ExecStart=/bin/sh -c 'echo it is no good; exit 3'
Type=oneshot
`,
};

const unitsOf = (t: TestContext, units: readonly string[], ...options: readonly string[]) =>
  unitService(t, embedded, UNITS, units, ...options);

describe('a service of units', { skip: embedded.skip || unlessHostSystemd }, () => {
  itHasUnits(embedded);

  it('is ready when they are active, reloads them, and shows what they write', async (t) => {
    const service = await unitsOf(t, ['steady.service']);
    await service.ok(['start']);
    const { units } = await service.status();
    assert.deepEqual(
      units?.map(({ unit, active }) => [unit, active]),
      [['steady.service', 'active']],
    );
    await service.ok(['reload']);
    await service.ok(['reload', '-u', 'steady']);
    await service.ok(['reload', '--unitfile', 'steady.service']);
    assert.equal(await service.inside('cat /run/reloads'), 'x\nx\nx\n');
    await service.fails(['reload', '-u', 'none'], /none\.service cannot be reloaded/);
    await service.eventually(
      () => service.ok(['logs', '--journal']),
      (text) => text.includes('steady reloads'),
    );
    assert.match(await service.ok(['logs', '--journal', '--tail', '100']), /steady runs/);
    assert.equal(await service.inside('systemctl is-active steady'), 'active\n');
    await service.ok(['stop']);
    const { state, lastEnd } = await service.status();
    assert.deepEqual([state, lastEnd?.why, lastEnd?.exitCode], ['stopped', 'stopped', 0]);
    await service.fails(['logs', '--journal'], /does not run/);
  });

  it('is not ready if one fails, and says what that said', async (t) => {
    const service = await unitsOf(t, ['steady.service', 'fails.service']);
    const { code, stderr } = await service.run(['start']);
    assert.equal(code, 125);
    assert.match(stderr, /the unit fails\.service failed: exit-code, status 3; .*\n/);
    assert.match(
      stderr,
      /\n {2}guest: the journal of the unit ends with:\n(?: {2}guest: .*\n)*? {2}guest: it is no good\n/,
    );
    const logs = await service.run(['logs']);
    assert.deepEqual(
      `${logs.out}${logs.stderr}`.match(/^.*it is no good/gm)?.map((line) => line.replace(/\d+/, 'N')),
      ['sh[N]: it is no good'],
    );
    assert.equal((await service.status()).state, 'failed');
  });

  it('is unhealthy when one fails later, and starts anew', async (t) => {
    const service = await unitsOf(t, ['steady.service'], '--restart', 'on-failure');
    service.set({ healthinterval: 100 });
    await service.ok(['start']);
    await service.inside('systemctl kill --signal KILL steady');
    const { lastEnd } = await service.until(({ state, restarts }) => state === 'running' && restarts === 1);
    assert.equal(lastEnd?.why, 'unhealthy');
    const { stderr } = await service.run(['logs']);
    assert.match(stderr, /it is unhealthy: the unit steady\.service is failed \(failed\)/);
  });
});
