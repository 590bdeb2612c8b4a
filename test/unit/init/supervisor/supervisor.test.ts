/** The supervisor: it kills the process it was told to, reaps it first, and only then lets its sockets close. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readlinkSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Supervisor } from '../../../../src/libvirt/supervisor.js';
import { processesWith } from '../../../helpers/leftovers.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const MARK = 'guest=marked';

/** A supervisor with a program that is connected to this test, and is a child of neither. */
async function watched(t: TestContext, then = '', options: { readonly kill?: boolean } = {}) {
  const path = scratchDirectory(t);
  const directory = join(path, 'state');
  mkdirSync(directory);
  const server = createServer();
  const socket = join(path, 'socket');
  await once(server.listen(socket), 'listening');
  const program = `const socket = require('node:net').connect(${JSON.stringify(socket)}); socket.write(String(process.pid));`;
  const command = ['sh', '-c', `("$@" &); ${then}`, 'sh', process.execPath, '-e', program, `${MARK},debug-threads=on`];
  const connecting = once(server, 'connection') as Promise<[Socket]>;
  const supervisor = await Supervisor.start({ directory, command, ...options });
  t.after(() => supervisor.finish());
  const [connection] = await connecting;
  server.close();
  if (then === '') await supervisor.commandExited;
  const [bytes] = (await once(connection, 'data')) as [Buffer];
  return { supervisor, connection, pid: Number(bytes.toString()) };
}

test('a killed process is reaped before its sockets close', async (t) => {
  const { supervisor, connection, pid } = await watched(t);
  let leftWhenClosed: boolean | undefined;
  connection.once('end', () => {
    leftWhenClosed = existsSync(`/proc/${pid}`);
  });
  connection.resume();
  const ended = once(connection, 'end');
  assert.equal(await supervisor.kill(pid, MARK), true);
  await ended;
  assert.equal(leftWhenClosed, false);
});

test('a process with another name is left alone', async (t) => {
  const { supervisor, connection, pid } = await watched(t);
  for (const other of ['guest=mark', 'guest', 'other=marked', '']) {
    assert.equal(await supervisor.kill(pid, other), false, other);
  }
  assert.ok(existsSync(`/proc/${pid}`));
  connection.resume();
  await supervisor.finish();
  assert.ok(!existsSync(`/proc/${pid}`), 'it ends with the supervisor');
});

test('a number that is too large is not that of another process', async (t) => {
  const { supervisor, connection, pid } = await watched(t);
  assert.equal(await supervisor.kill(pid + 2 ** 32, MARK), false);
  assert.ok(existsSync(`/proc/${pid}`));
  connection.resume();
});

test('a process that is gone is not killed', async (t) => {
  const { supervisor, connection, pid } = await watched(t);
  connection.resume();
  assert.equal(await supervisor.kill(pid, MARK), true);
  assert.equal(await supervisor.kill(pid, MARK), false);
});

test('the sockets of a killed process stay open while a command runs that must end too', async (t) => {
  const { supervisor, connection, pid } = await watched(t, 'exec sleep 1000');
  let ended = false;
  connection.once('end', () => {
    ended = true;
  });
  connection.resume();
  assert.equal(await supervisor.kill(pid, MARK), true);
  assert.ok(!existsSync(`/proc/${pid}`), 'it is gone');
  // A closed socket would be noticed by then.
  await new Promise((resolve) => setImmediate(resolve));
  await supervisor.kill(pid, MARK);
  assert.equal(ended, false);
  const closed = once(connection, 'close');
  await supervisor.finish();
  await closed;
});

test('the sockets of a killed process close when the command waits for it', async (t) => {
  const go = join(scratchDirectory(t), 'go');
  const { supervisor, connection, pid } = await watched(
    t,
    `trap '' TERM; while [ ! -e '${go}' ]; do sleep 0.05; done; exit 3`,
  );
  // The command ends as libvirt does that starts a domain: not because it is told to, but when QEMU's sockets close.
  connection.once('end', () => writeFileSync(go, ''));
  connection.resume();
  assert.equal(await supervisor.kill(pid, MARK), true);
  await supervisor.finish();
  assert.deepEqual(await supervisor.commandExited, { status: 3 << 8, stderr: '' });
});

/** A supervisor with a command, and its process ID. */
async function supervised(t: TestContext) {
  const directory = join(scratchDirectory(t), 'state');
  mkdirSync(directory);
  const supervisor = await Supervisor.start({ directory, command: ['sleep', '1000'] });
  t.after(() => supervisor.finish());
  const line = processesWith(directory).find((text) => /^\d+ \S*\/supervisor /.test(text));
  assert.ok(line !== undefined);
  return { directory, supervisor, pid: Number.parseInt(line, 10) };
}

test('it and its command are in no directory of the caller', async (t) => {
  const { directory, supervisor, pid } = await supervised(t);
  const command = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  assert.equal(command.length, 1);
  for (const one of [pid, ...command]) assert.equal(readlinkSync(`/proc/${one}/cwd`), '/');
  await supervisor.finish();
  assert.ok(!existsSync(directory));
});

test('the status of a command is known though its supervisor ends in the same moment', async (t) => {
  const { supervisor, pid } = await supervised(t);
  process.kill(pid, 'SIGSTOP');
  const finished = supervisor.finish();
  // The order goes out.
  for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  process.kill(pid, 'SIGCONT');
  // All that the supervisor says, and its end, are seen in one turn of the event loop.
  const ended = `until grep -q '^State:.Z' /proc/${pid}/status; do :; done`;
  assert.equal(spawnSync('sh', ['-c', ended], { timeout: 30_000 }).status, 0);
  await finished;
  assert.deepEqual(await supervisor.commandExited, { status: 15, stderr: '' });
});

for (const { kill, signal } of [
  { kill: false, signal: 15 },
  { kill: true, signal: 9 },
]) {
  test(`a command that ${kill ? 'has nothing' : 'may have something'} to clean up is ended by signal ${signal}`, async (t) => {
    const directory = join(scratchDirectory(t), 'state');
    mkdirSync(directory);
    const supervisor = await Supervisor.start({ directory, command: ['sleep', '1000'], kill });
    await supervisor.finish();
    assert.deepEqual(await supervisor.commandExited, { status: signal, stderr: '' });
    assert.ok(!existsSync(directory));
  });
}

test('a command that has nothing to clean up goes with the machine', async (t) => {
  const { supervisor, connection, pid } = await watched(t, 'exec sleep 1000', { kill: true });
  connection.resume();
  assert.equal(await supervisor.kill(pid, MARK), true);
  assert.deepEqual(await supervisor.commandExited, { status: 9, stderr: '' });
});

test('a directory that is gone and another one at its path are no failure of the end', async (t) => {
  const { directory, supervisor, pid } = await supervised(t);
  renameSync(directory, `${directory}-aside`);
  mkdirSync(directory);
  const stat = readFileSync(`/proc/${process.ppid}/stat`, 'utf8');
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  writeFileSync(join(directory, 'owner'), `${process.ppid} ${started}\n`);
  process.kill(pid, 'SIGKILL');
  await supervisor.finish();
  assert.equal(existsSync(directory), true);
});
