/** Moves of this process to the control group that it is in. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { GroupMoves } from '../../../src/libvirt/group-moves.js';
import { scratchDirectory } from '../../helpers/scratch.js';

it('go on until they are ended, in the first file that can be opened', async (t) => {
  const file = join(scratchDirectory(t), 'cgroup.procs');
  writeFileSync(file, '');
  const moves = new GroupMoves(['/nonexistent/cgroup.procs', file]);
  moves.keepQuick(60_000);
  while (!/^0{3,}$/.test(readFileSync(file, 'utf8'))) await sleep(1);
  moves.end();
  await sleep(50);
  const written = readFileSync(file, 'utf8');
  await sleep(50);
  assert.equal(readFileSync(file, 'utf8'), written);
});

it('end by themselves, and begin again', async (t) => {
  const file = join(scratchDirectory(t), 'cgroup.procs');
  writeFileSync(file, '');
  const moves = new GroupMoves([file]);
  moves.keepQuick(1);
  await sleep(100);
  const written = readFileSync(file, 'utf8');
  assert.match(written, /^0+$/);
  moves.keepQuick(60_000);
  while (readFileSync(file, 'utf8') === written) await sleep(1);
  moves.end();
});

it('are none where this process may not move itself', async () => {
  new GroupMoves([]).keepQuick(10);
  // Writing fails there.
  new GroupMoves(['/dev/full']).keepQuick(60_000);
  await sleep(50);
});

it('leave this process in its group', async () => {
  const before = readFileSync('/proc/self/cgroup', 'utf8');
  const moves = new GroupMoves();
  moves.keepQuick(50);
  await sleep(100);
  assert.equal(readFileSync('/proc/self/cgroup', 'utf8'), before);
});
