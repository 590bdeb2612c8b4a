/** Services of units that are cloned, exported, imported and upgraded. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import type { Way } from './connections.js';
import { uniqueName } from './leftovers.js';
import { removeServices } from './making-services.js';
import { scratchDirectory, WITH_ATTRIBUTES } from './scratch.js';
import { TestService } from './services.js';
import { unitService } from './unit-services.js';

/** What a unit keeps is of its instance. */
const UNITS = {
  'named@.service': `[Service]
Type=exec
ExecStartPre=/bin/sh -c 'mkdir -p /srv/named; echo start >>/srv/named/%i; cat /etc/machine-id >>/srv/ids'
ExecStart=/bin/sleep infinity
`,
  'plain.service': '[Service]\nType=exec\nExecStart=/bin/sleep infinity\n',
};
const NAMED = ['named@one.service', 'plain.service'];

/** The last line is as systemd has seen it. */
const LOOK = 'cat /etc/machine-id; tail -n 1 /srv/ids; cat /srv/named/one; hostname';

/** Defines the test. */
export function itCopiesUnits(way: Way): void {
  it('runs the same units in a clone and elsewhere, with other identities, and after an upgrade', async (t) => {
    const service = await unitService(t, way, UNITS, NAMED);
    const [clone, imported] = ['clone', 'imported'].map((what) => new TestService(`${uniqueName()}-${what}`, way));
    if (clone === undefined || imported === undefined) assert.fail();
    t.after(() => removeServices([clone.name, imported.name], way.options));
    const start = async (one: TestService) => {
      const { code, stderr } = await one.run(['start']);
      assert.equal(code, 0, stderr);
      const { units } = await one.status();
      assert.deepEqual(
        units?.map(({ unit, active }) => [unit, active]),
        NAMED.map((unit) => [unit, 'active']),
      );
    };
    const look = async (one: TestService, starts: number) => {
      const [id = '', ...rest] = (await one.inside(LOOK)).split('\n');
      assert.deepEqual(rest, [id, ...Array.from({ length: starts }, () => 'start'), one.name, '']);
      return id;
    };
    await start(service);
    const ids = [await look(service, 1)];
    await service.fails(['upgrade'], /runs, and what it has written cannot be looked at meanwhile/);
    await service.ok(['clone', '--live'], [clone.name]);
    const archive = join(scratchDirectory(t, WITH_ATTRIBUTES), 'web.tar');
    await service.ok(['stop']);
    await service.ok(['export', '-o', archive]);
    const { code, out, stderr } = await service.run(['upgrade']);
    assert.deepEqual([code, out, stderr], [0, '', '']);
    await start(service);
    assert.equal(await look(service, 2), ids[0]);
    await service.ok(['stop']);

    await start(clone);
    ids.push(await look(clone, 2));
    await clone.ok(['stop']);
    const taken = await imported.run(['import', '--trust', archive]);
    assert.equal(taken.code, 0, taken.stderr);
    await start(imported);
    ids.push(await look(imported, 2));
    assert.equal(new Set(ids).size, 3, ids.join(' '));
    for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
  });
}
