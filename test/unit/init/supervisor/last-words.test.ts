/** What a supervised command writes last is told with its status, however the two are read. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Supervisor } from '../../../../src/libvirt/supervisor.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** Blocks this thread, so that it finds several events at once. */
const block = (seconds: number) => execFileSync('sleep', [`${seconds}`]);

test('words are told that come between the report of an answer and its reading', async (t) => {
  const path = scratchDirectory(t);
  const directory = join(path, 'state');
  const go = join(path, 'go');
  mkdirSync(directory);
  execFileSync('mkfifo', [go]);
  const command = ['sh', '-c', `read line <'${go}'; echo last words >&2; exit 3`];
  const supervisor = await Supervisor.start({ directory, command });
  t.after(() => supervisor.finish());
  const first = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
  // The kernel reports what `cat` has written, and then the answer. While the first is handled, the command ends: its
  // status is read with the answer, and its words are in no report yet.
  first.stdout.once('data', () => {
    execFileSync('sh', ['-c', `echo >'${go}'`], { timeout: 10_000 });
    block(0.2);
  });
  const told = supervisor.commandExited;
  // Its output is waited for by now.
  await nextTurn();
  await nextTurn();
  first.stdin.end('x');
  block(0.2);
  const answered = supervisor.kill(2 ** 22 + 1, 'nothing');
  block(0.2);
  assert.equal(await answered, false);
  assert.deepEqual(await told, { status: 3 << 8, stderr: 'last words\n' });
});
