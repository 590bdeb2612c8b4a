/** Moves of this process to the control group that it is in. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { GroupMoves } from '../../../src/libvirt/group-moves.js';
import { scratchDirectory } from '../../helpers/scratch.js';

/** A file in the place of a group's list, and what was written to it. The writes begin where the list does. */
function group(t: TestContext, pids: readonly number[]) {
  const list = join(scratchDirectory(t), 'cgroup.procs');
  const before = pids.map((pid) => `${pid}\n`).join('');
  writeFileSync(list, before);
  let name = 'a';
  return {
    own: { name: () => name, lists: () => ['/nonexistent/cgroup.procs', list] },
    moveElsewhere: () => {
      name = 'b';
    },
    written: () => readFileSync(list, 'utf8'),
    before,
  };
}

/** Writes replace the beginning of a file, and not that of a real list. */
const LISTED = [...Array<number>(1000).fill(1), process.pid, 4_194_303];

/** Waits until this process was moved, that is the list was written to. */
async function moved({ written, before }: ReturnType<typeof group>): Promise<string> {
  while (written() === before) await sleep(1);
  return written();
}

it('go on until they are ended', async (t) => {
  const fake = group(t, LISTED);
  const moves = new GroupMoves(fake.own);
  moves.keepQuick(60_000);
  while (!/^0{3}/.test(await moved(fake))) await sleep(1);
  moves.end();
  await sleep(50);
  const written = fake.written();
  await sleep(50);
  assert.equal(fake.written(), written);
});

it('end by themselves, and begin again', async (t) => {
  const fake = group(t, LISTED);
  const moves = new GroupMoves(fake.own);
  moves.keepQuick(200);
  await moved(fake);
  await sleep(300);
  const written = fake.written();
  await sleep(50);
  assert.equal(fake.written(), written);
  moves.keepQuick(60_000);
  while (fake.written() === written) await sleep(1);
  moves.end();
});

it('end when somebody has moved this process elsewhere', async (t) => {
  const fake = group(t, LISTED);
  const moves = new GroupMoves(fake.own);
  moves.keepQuick(60_000);
  await moved(fake);
  fake.moveElsewhere();
  await sleep(50);
  const written = fake.written();
  await sleep(50);
  assert.equal(fake.written(), written);
});

it('are none where the list does not have this process', async (t) => {
  const fake = group(t, [1, 4_194_303]);
  new GroupMoves(fake.own).keepQuick(50);
  await sleep(100);
  assert.equal(fake.written(), fake.before);
});

it('are none where there is no list, or this process may not write to it', async () => {
  for (const lists of [() => [], () => ['/proc/self/status']])
    new GroupMoves({ name: () => 'a', lists }).keepQuick(60_000);
  await sleep(50);
});

it('leave this process in its group', async () => {
  const before = readFileSync('/proc/self/cgroup', 'utf8');
  const moves = new GroupMoves();
  moves.keepQuick(50);
  await sleep(100);
  assert.equal(readFileSync('/proc/self/cgroup', 'utf8'), before);
});
