/** A bare restore whose QEMU fails: the run ends, and does not wait for ever. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { type BareMachine, runBare } from '../../../../src/bench/run/bare-qemu.js';
import { bareRestore } from '../../../../src/bench/run/bare-restore.js';
import { Interrupted } from '../../../../src/bench/run/process.js';
import type { Snapshot } from '../../../../src/image/snapshot/record.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** No test here reads from it. */
const SNAPSHOT = { directory: '/nowhere' } as Snapshot;

/** A stand-in for QEMU. The sockets that it needs are in a directory that is removed at the end. */
function machine(t: TestContext, program: (directory: string) => string): { argv: string[]; sockets: string } {
  const directory = scratchDirectory(t);
  const sockets = join(directory, 'sockets');
  const chardevs = ['charchannel0', 'charserial0'].flatMap((id) => [
    '-chardev',
    `socket,id=${id},path=${join(sockets, id)}`,
  ]);
  return { argv: [program(directory), ...chardevs], sockets };
}

function script(...lines: string[]): (directory: string) => string {
  return (directory) => {
    const path = join(directory, 'qemu');
    writeFileSync(path, ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
    return path;
  };
}

const ENDS: [string, (directory: string) => string, RegExp][] = [
  ['without a word', () => '/bin/false', /^the bare QEMU ended with status 1$/],
  [
    'with a reason',
    script('echo warning >&2', 'echo no such machine >&2', 'exit 3'),
    /^the bare QEMU ended with status 3: no such machine$/,
  ],
  ['by a signal', script('kill -9 $$'), /^the bare QEMU ended with SIGKILL$/],
  [
    'before it starts',
    () => '/no/such/qemu',
    /^the bare QEMU ended with status 127: \/no\/such\/qemu: No such file or directory$/,
  ],
];
for (const [how, program, message] of ENDS)
  test(`a QEMU that ends ${how} ends the run`, { timeout: 10_000 }, async (t) => {
    const { argv, sockets } = machine(t, program);
    await assert.rejects(bareRestore(argv, SNAPSHOT), { message });
    assert.ok(!existsSync(sockets));
  });

/** A QEMU that never connects. @returns a function that waits until it runs, and tells its process ID */
function waiting(t: TestContext) {
  const { argv, sockets } = machine(t, script('echo $$ >"$0.pid"', 'exec sleep 60'));
  const pidFile = `${argv[0]}.pid`;
  const pid = async () => {
    while (!existsSync(pidFile) || readFileSync(pidFile, 'utf8') === '') await setImmediate();
    return readFileSync(pidFile, 'utf8').trim();
  };
  return { argv, sockets, pidFile, pid };
}

test('a QEMU that never connects is killed when the signal comes', {
  timeout: 10_000,
}, async (t) => {
  const { argv, sockets, pid } = waiting(t);
  const stop = new AbortController();
  const stopped = assert.rejects(bareRestore(argv, SNAPSHOT, stop.signal), Interrupted);
  const qemu = await pid();
  stop.abort();
  await stopped;
  assert.ok(!existsSync(`/proc/${qemu}`));
  assert.ok(!existsSync(sockets));
  await assert.rejects(bareRestore(argv, SNAPSHOT, AbortSignal.abort()), Interrupted);
});

test('a QEMU that never connects is killed when its time is over', { timeout: 10_000 }, async (t) => {
  const { argv, sockets, pidFile } = waiting(t);
  const connected = async ({ listener }: BareMachine) => void (await listener.connection);
  await assert.rejects(runBare(argv, connected, { limitMs: 500 }), {
    message: 'the guest of the bare QEMU was not done within 0.5 s',
  });
  // It may have been killed before it wrote that.
  if (existsSync(pidFile)) assert.ok(!existsSync(`/proc/${readFileSync(pidFile, 'utf8').trim()}/exe`));
  assert.ok(!existsSync(sockets));
});
