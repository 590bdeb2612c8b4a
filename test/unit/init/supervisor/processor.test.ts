/** The supervisor's command begins on one processor, and has all of them as soon as it has opened a file. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Supervisor } from '../../../../src/libvirt/supervisor.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const processorsOf = (path: string) => /^Cpus_allowed_list:\t(.*)$/m.exec(readFileSync(path, 'utf8'))?.[1] ?? '';

const ALL = processorsOf('/proc/self/status');
const skip = availableParallelism() === 1 && 'there is one processor';

/** In milliseconds, for what happens without a word. */
const SOON_MS = 30_000;

/** A command with a thread, which says on what processors it runs, opens a file, and waits for another one. */
const COMMAND = `
  const { existsSync, readFileSync, writeFileSync } = require('node:fs');
  const [file, first, then] = process.argv.slice(1);
  writeFileSync(first, readFileSync('/proc/self/status'));
  readFileSync(file);
  setInterval(() => existsSync(then) && process.exit(7), 20);
`;

function begun(t: TestContext) {
  const path = scratchDirectory(t);
  const [directory, file, first, then] = ['state', 'file', 'first', 'then'].map((name) => join(path, name));
  assert.ok(directory && file && first && then);
  mkdirSync(directory);
  writeFileSync(file, '');
  return { directory, file, first, then, command: [process.execPath, '-e', COMMAND, file, first, then] };
}

test('a command has one processor until it opens the file, then all threads have all', { skip }, async (t) => {
  const { directory, file, first, then, command } = begun(t);
  const supervisor = await Supervisor.start({ directory, command, begin: file });
  t.after(() => supervisor.finish());
  const deadline = Date.now() + SOON_MS;
  while (!existsSync(first) || processorsOf(first) === '') {
    assert.ok(Date.now() < deadline);
    await sleep(5);
  }
  assert.equal(processorsOf(first), /^\d+/.exec(ALL)?.[0]);
  const pid = Number(/^Pid:\t(\d+)$/m.exec(readFileSync(first, 'utf8'))?.[1]);
  const threads = () => readdirSync(`/proc/${pid}/task`).map((id) => processorsOf(`/proc/${pid}/task/${id}/status`));
  while (threads().some((processors) => processors !== ALL)) {
    assert.ok(Date.now() < deadline, threads().join(' '));
    await sleep(5);
  }
  assert.ok(threads().length > 1);
  writeFileSync(then, '');
  const exit = await supervisor.commandExited;
  assert.ok('status' in exit && exit.status === 7 << 8);
});

test('a command that opens nothing ends as usual', { skip }, async (t) => {
  const { directory, file } = begun(t);
  const supervisor = await Supervisor.start({ directory, command: ['sh', '-c', 'exit 3'], begin: file });
  const exit = await supervisor.commandExited;
  assert.ok('status' in exit && exit.status === 3 << 8);
  await supervisor.finish();
  assert.ok(!existsSync(directory));
});

test('without that file a command has all processors from the start', { skip }, async (t) => {
  const { directory, first, then, command } = begun(t);
  writeFileSync(then, '');
  const supervisor = await Supervisor.start({ directory, command });
  t.after(() => supervisor.finish());
  await supervisor.commandExited;
  assert.equal(processorsOf(first), ALL);
});
