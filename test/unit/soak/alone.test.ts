/** One soak at a time. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { it } from 'node:test';
import { REPOSITORY } from '../../helpers/run.js';
import { unlessRoot } from '../../helpers/scratch.js';

it('a soak says that another one runs, and does nothing', { skip: unlessRoot('a soak needs it') }, async (t) => {
  const other = createServer().listen('\0virt-sandbox-soak');
  // A soak that runs beside these tests holds the name too.
  await Promise.race([once(other, 'listening'), once(other, 'error')]).catch(() => {});
  t.after(() => other.close());
  const words = [join(REPOSITORY, 'scripts/soak.mjs'), '--only', 'builders', '--count', '1'];
  const result = spawnSync(process.execPath, words, { encoding: 'utf8' });
  assert.match(result.stderr, /^soak: another one runs on this machine/);
  assert.equal(result.status, 2);
});
