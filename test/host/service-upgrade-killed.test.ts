/** virt-sandbox-service is killed at every step of an upgrade that labels the content of a service. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadService } from '../../src/service/file.js';
import { labelOf } from '../../src/service/store/label-state.js';
import { assertKilledAt, atEveryStep, isKilled, killedAt, othersThan, unlessTraced } from '../helpers/killing.js';
import { makeOldService, OLD_FILES, OLD_PROCESS } from '../helpers/labelled-old-service.js';
import { unlessRoot } from '../helpers/scratch.js';
import { serviceProgram } from '../helpers/serving.js';

const CALLS = ['lsetxattr', 'rename', 'fsync'] as const;

describe('an upgrade that is killed', { skip: unlessRoot('sets labels') || unlessTraced() }, () => {
  for (const isOlder of [false, true])
    it(`has the next one label all that it has not${isOlder ? ', of a version before 0.5' : ''}`, async (t) => {
      const service = serviceProgram(t);
      const { name, roots } = service;
      const file = join(roots.services, `${name}.sandbox`);
      t.after(() => rmSync(file, { force: true }));
      const halves = new Set<number>();
      const killed = await atEveryStep([...CALLS, ...othersThan(CALLS)], async (step) => {
        const { content } = await makeOldService(t, roots, name, isOlder);
        const everything = ['', ...(readdirSync(content, { recursive: true }) as string[])];
        const labels = () => everything.map((path) => labelOf(join(content, path)));
        const wasKilled = isKilled(await service.run(['upgrade', name], { through: killedAt(step) }));
        if (step.call === 'lsetxattr') halves.add(labels().filter((label) => label !== `${OLD_FILES}:s0`).length);
        await service.out('upgrade', name);
        const { label = '' } = (await loadService(roots, name)).config.security;
        const own = label.slice(OLD_PROCESS.length);
        assert.match(own, /^:s0:c\d+,c\d+$/);
        assert.deepEqual(
          labels(),
          everything.map(() => `${OLD_FILES}${own}`),
          `${step.call} ${step.when}`,
        );
        await service.out('delete', name);
        return wasKilled;
      });
      assertKilledAt(killed, CALLS);
      assert.ok(halves.size >= 4, `${[...halves].join()} labels at the kills`);
    });
});
