/** What processes that were killed have left of claims. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { stateBase } from '../../../../src/sandbox/state/state-directory.js';
import { claimService, releaseService, removeDeadClaim } from '../../../../src/service/run/claim.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { unlessRoot } from '../../../helpers/scratch.js';

describe('a claim', { skip: unlessRoot('claims of root are in /run') }, () => {
  const removals = {
    'a claim': async () => releaseService(await claimService(uniqueName())),
    'the removal of a service': () => removeDeadClaim(uniqueName()),
  };
  for (const [what, remove] of Object.entries(removals))
    it(`of which halves are left, and no process, is removed by ${what}, and no other`, async (t) => {
      const above = `${stateBase()}-services`;
      mkdirSync(above, { recursive: true });
      const { pid: gone } = spawnSync('true');
      const [dead, living] = [gone, process.pid].map((pid) => join(above, `.claim-${pid}-1`));
      assert.ok(dead && living);
      for (const path of [dead, living]) mkdirSync(path, { mode: 0o700 });
      t.after(() => rmSync(living, { recursive: true, force: true }));
      await remove();
      assert.deepEqual([existsSync(dead), existsSync(living)], [false, true]);
    });
});
