/** virt-sandbox-ctl pool ls, where the holder of a pool does not answer. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { listed } from '../../../src/cli/ctl/pool-list.js';
import { writePoolRecord } from '../../../src/control/pool/record.js';
import { claimPool, findPool, releasePool } from '../../../src/sandbox/state/pools.js';
import { uniqueName } from '../../helpers/leftovers.js';

test('a pool whose holder closes each connection is listed, and one that is being created is not', async (t) => {
  const name = uniqueName();
  const state = claimPool(name);
  t.after(() => releasePool(state));
  assert.equal(await listed(findPool(name)), undefined);
  const record = { name, pid: process.pid, created: '2026-11-28T10:00:00.000Z', size: 3, options: [] };
  writePoolRecord(state.path, { version: 1, ...record });
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(join(state.path, 'control'), resolve));
  t.after(() => server.close());
  const { error = '', ...known } = (await listed(findPool(name))) as { error?: string };
  assert.deepEqual(known, record);
  assert.match(error, /does not talk to this program/);
});
