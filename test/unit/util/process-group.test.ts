/** The processes of a group, and signals to them. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { groupMembers, signalAll } from '../../../src/util/process-group.js';
import { holdsDuring } from '../../helpers/meanwhile.js';
import { scratchDirectory, unlessRoot } from '../../helpers/scratch.js';

const NOBODY = 65_534;

interface Started {
  readonly child: ChildProcess;
  readonly group: number;
  /** What it has printed: the ids of processes. */
  readonly ids: readonly number[];
}

/** Starts a shell with a process group of its own, which prints a line of ids and waits for one. */
async function start(
  t: TestContext,
  script: string,
  { shell = 'sh', uid }: { readonly shell?: string; readonly uid?: number } = {},
): Promise<Started> {
  const child = spawn(shell, ['-c', `${script}\nread line`], {
    ...(uid !== undefined && { uid }),
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  t.after(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  assert.ok(child.pid !== undefined);
  return { child, group: child.pid, ids: String(line).trim().split(' ').map(Number) };
}

test('a group has its leader and what that has started, also when the leader is gone', async (t) => {
  const { child, group, ids } = await start(t, 'sleep 1000 >/dev/null & echo $$ $!');
  t.after(() => signalAll(ids.slice(1), 'SIGKILL'));
  assert.deepEqual(groupMembers(group).sort(), [...ids].sort());
  child.stdin?.end('\n');
  await once(child, 'exit');
  assert.deepEqual(groupMembers(group), ids.slice(1));
});

test('what has a group of its own is no member', async (t) => {
  const { group, ids } = await start(t, 'setsid sh -c "echo \\$\\$; exec sleep 1000" &');
  t.after(() => signalAll(ids, 'SIGKILL'));
  assert.deepEqual(groupMembers(group), [group]);
});

test('what has ended is no member, though nobody has asked how', async (t) => {
  // cat waits for none of its own.
  const { child, group, ids } = await start(t, 'sleep 1000 & echo $$ $!; exec cat');
  const exited = once(child, 'exit');
  const about = (name: string) => readFileSync(`/proc/${name}`, 'latin1');
  await holdsDuring(exited, () => about(`${group}/comm`) === 'cat\n');
  signalAll(ids.slice(1), 'SIGKILL');
  await holdsDuring(exited, () => about(`${ids[1]}/stat`).includes(') Z '));
  assert.deepEqual(groupMembers(group), ids.slice(0, 1));
});

test('the name of a program does not hide it', async (t) => {
  const shell = join(scratchDirectory(t), 'a) Z 1 1 1 (');
  copyFileSync('/bin/sh', shell);
  const { group, ids } = await start(t, 'echo $$', { shell });
  assert.deepEqual(groupMembers(group), ids);
});

test('all that are left of some processes get a signal', async (t) => {
  const [first, second] = [await start(t, 'echo $$'), await start(t, 'echo $$')];
  first.child.stdin?.end('\n');
  await once(first.child, 'exit');
  signalAll([first.group, second.group], 'SIGTERM');
  assert.deepEqual(await once(second.child, 'exit'), [null, 'SIGTERM']);
});

test('those of another user get none', { skip: unlessRoot('it becomes another user') }, async (t) => {
  const { child, group } = await start(t, 'echo $$', { uid: 1234 });
  process.seteuid?.(NOBODY);
  try {
    signalAll([group], 'SIGTERM');
  } finally {
    process.seteuid?.(0);
  }
  child.stdin?.end('\n');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});
