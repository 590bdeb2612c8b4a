/** Processes beside each other: numbers, streams with a window each, signals, time limits, exits. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeExit } from '../../../../src/protocol/exit.js';
import {
  CallFlag,
  MAX_PROCESSES,
  OUTPUT_WINDOW_BYTES,
  Proc,
  SpawnFlag,
  STDIN_WINDOW_BYTES,
} from '../../../../src/protocol/wire.js';
import { Guest, spawnPayload, u32 } from './driver.js';
import { countTo, gone, numbersTo } from './machine.js';

const { errno, signals } = constants;

const sh = (script: string) => ['/bin/sh', '-c', script];

describe('processes', () => {
  test('50 at once, each with its own output byte for byte, stdin and exit status', async (t) => {
    const guest = await Guest.start(t);
    const count = 50;
    // Each copies its stdin to stdout, and writes 300 lines to stderr.
    const script = (at: number) =>
      `i=0; while [ $i -lt 300 ]; do echo "${at} line $i" >&2; i=$((i+1)); done; cat; exit ${at}`;
    const numbers: number[] = [];
    for (let at = 0; at < count; at++) numbers.push(await guest.spawnBeside(sh(script(at))));
    assert.equal(new Set(numbers).size, count);
    const data = (at: number) => Buffer.alloc(100_000, `${at},`);
    for (let part = 0; part < 4; part++) {
      for (const [at, number] of numbers.entries())
        guest.stdin(data(at).subarray(part * 25_000, (part + 1) * 25_000), number);
    }
    for (const number of numbers) guest.stdinEnd(number);
    const lines = (at: number) => Array.from({ length: 300 }, (_, line) => `${at} line ${line}\n`).join('');
    for (const [at, number] of numbers.entries()) {
      assert.equal(await guest.exit(number), at << 8);
      assert.ok(guest.output(Proc.STDOUT, number).equals(data(at)), `stdout of ${at}`);
      assert.equal(guest.output(Proc.STDERR, number).toString(), lines(at));
      assert.equal(guest.acknowledgedOf(number), 100_000);
      const about = guest.packets.filter((each) => each.serial === number && each.proc >= 1 && each.proc <= 4);
      assert.equal(about.at(-1)?.proc, Proc.EXIT, 'nothing follows the exit');
    }
    await guest.finish();
  });

  test('one whose output is not taken waits, and no other does', async (t) => {
    const guest = await Guest.start(t);
    guest.acknowledges = false;
    const idle = await guest.spawnBeside(sh('head -c 20000000 /dev/zero; echo >&2 done'));
    await guest.until(() => guest.output(Proc.STDOUT, idle).length === OUTPUT_WINDOW_BYTES, 'a window of output');
    const other = await guest.spawnBeside(sh('head -c 900000 /dev/zero; cat'));
    guest.stdin('through', other);
    guest.stdinEnd(other);
    assert.equal(await guest.exit(other), 0);
    assert.equal(guest.output(Proc.STDOUT, other).length, 900_007);
    assert.equal(guest.output(Proc.STDOUT, idle).length, OUTPUT_WINDOW_BYTES);
    assert.equal(guest.output(Proc.STDERR, idle).length, 0);
    guest.acknowledges = true;
    guest.acknowledge(Proc.STDOUT, OUTPUT_WINDOW_BYTES, idle);
    assert.equal(await guest.exit(idle), 0);
    assert.equal(guest.output(Proc.STDOUT, idle).length, 20_000_000);
    await guest.finish();
  });

  test('a full stream does not stop the other one of its process', async (t) => {
    const guest = await Guest.start(t);
    guest.acknowledges = false;
    const process = await guest.spawnBeside(sh('head -c 20000000 /dev/zero & echo beside >&2; wait'));
    await guest.until(() => guest.output(Proc.STDOUT, process).length === OUTPUT_WINDOW_BYTES, 'a window of output');
    await guest.outputHas(Proc.STDERR, 'beside', process);
    await guest.finish();
  });

  test('one whose host is slow is not silent: its output is kept', async (t) => {
    const guest = await Guest.start(t);
    guest.acknowledges = false;
    // The shell ends at once; what it leaves running holds the output, which is full for longer than silence may last.
    const process = await guest.spawnBeside(sh('head -c 3000000 /dev/zero & exit 5'));
    await guest.until(() => guest.output(Proc.STDOUT, process).length === OUTPUT_WINDOW_BYTES, 'a window of output');
    await sleep(2500);
    guest.acknowledges = true;
    guest.acknowledge(Proc.STDOUT, OUTPUT_WINDOW_BYTES, process);
    assert.equal(await guest.exit(process), 5 << 8);
    assert.equal(guest.output(Proc.STDOUT, process).length, 3_000_000);
    await guest.finish();
  });

  test('acknowledging more than was sent ends the connection', async (t) => {
    const guest = await Guest.start(t);
    guest.acknowledges = false;
    const process = await guest.spawnBeside(sh('echo four; sleep 1000'));
    await guest.outputHas(Proc.STDOUT, 'four\n', process);
    guest.acknowledge(Proc.STDOUT, 6, process);
    await guest.ended();
    assert.match(guest.said, /an acknowledgement of what it was not sent/);
  });

  test('acknowledgements for others are ignored', async (t) => {
    const guest = await Guest.start(t);
    for (const process of [0, 1, 0xffff_ffff]) guest.acknowledge(Proc.STDERR, 1 << 30, process);
    assert.equal(await guest.exit(await guest.spawnBeside(['true'])), 0);
    await guest.finish();
  });

  test('a signal reaches one group, and what that one leaves running lives on', async (t) => {
    const guest = await Guest.start(t);
    const [kept, killed] = [
      await guest.spawnBeside(sh('sleep 1000 & echo $!; wait')),
      await guest.spawnBeside(sh('setsid sleep 1000 >/dev/null 2>&1 & sleep 1000 & echo $!; wait')),
    ];
    for (const process of [kept, killed]) await guest.outputHas(Proc.STDOUT, '\n', process);
    await guest.signal(signals.SIGTERM, killed);
    assert.equal(await guest.exit(killed), signals.SIGTERM);
    await gone(Number(guest.output(Proc.STDOUT, killed)));
    process.kill(Number(guest.output(Proc.STDOUT, kept)), 0);
    await guest.fails(errno.ESRCH, Proc.SIGNAL, Buffer.concat([u32(killed), u32(signals.SIGTERM)]), CallFlag.TOLERATE);
    await guest.finish();
  });

  test('a program that it leaves running holds up its exit for a second of silence, and then lives on', async (t) => {
    const guest = await Guest.start(t);
    const started = await guest.spawnBeside(sh('(sleep 2; touch /dev/null; sleep 1000) & echo $!; exit 3'));
    const { status, drained } = decodeExit((await guest.exitPacket(started)).payload);
    assert.equal(status, 3 << 8);
    assert.ok(drained >= 900_000, `${drained} µs`);
    process.kill(Number(guest.output(Proc.STDOUT, started)), 0);
    await guest.finish();
  });

  test('a time limit kills the group and says so', async (t) => {
    const guest = await Guest.start(t);
    const [late, quick] = [
      await guest.spawnBeside(sh('trap "" TERM; sleep 1000 & echo $!; wait'), { timeLimit: 300 }),
      await guest.spawnBeside(sh('exit 4'), { timeLimit: 60_000 }),
    ];
    const exited = decodeExit((await guest.exitPacket(late)).payload);
    assert.deepEqual([exited.status, exited.timedOut], [signals.SIGKILL, true]);
    await gone(Number(guest.output(Proc.STDOUT, late)));
    assert.equal(decodeExit((await guest.exitPacket(quick)).payload).timedOut, false);
    await guest.finish();
  });

  test('a time limit ends also one whose output never falls silent', async (t) => {
    const guest = await Guest.start(t);
    const loud = await guest.spawnBeside(sh('setsid sh -c "while :; do echo x; sleep 0.1; done" & wait'), {
      timeLimit: 300,
    });
    const { status, timedOut } = decodeExit((await guest.exitPacket(loud)).payload);
    assert.deepEqual([status, timedOut], [signals.SIGKILL, true]);
    await guest.finish();
  });

  test('each may have a terminal', async (t) => {
    const guest = await Guest.start(t);
    const size = (rows: number) => ({ flags: SpawnFlag.PTY, rows, columns: 100 });
    const [first, second] = [
      await guest.spawnBeside(sh('read x; stty size'), size(20)),
      await guest.spawnBeside(sh('read x; stty size'), size(30)),
    ];
    await guest.ok(Proc.RESIZE, Buffer.concat([u32(second), u32(40), u32(100)]));
    for (const process of [first, second]) {
      guest.stdin('\n', process);
      assert.equal(await guest.exit(process), 0);
    }
    assert.match(guest.output(Proc.STDOUT, first).toString(), /^20 100/m);
    assert.match(guest.output(Proc.STDOUT, second).toString(), /^40 100/m);
    await guest.finish();
  });

  test(`there are at most ${MAX_PROCESSES}, and room again when one has ended`, async (t) => {
    const guest = await Guest.start(t);
    const numbers: number[] = [];
    for (let at = 0; at < MAX_PROCESSES; at++) numbers.push(await guest.spawnBeside(['cat']));
    const detail = await guest.fails(errno.EAGAIN, Proc.SPAWN, spawnPayload(['true'], { flags: 0 }), CallFlag.TOLERATE);
    assert.match(detail, new RegExp(`beside ${MAX_PROCESSES} processes`));
    const last = numbers.at(-1) ?? 0;
    guest.stdin('to the last', last);
    guest.stdinEnd(last);
    assert.equal(await guest.exit(last), 0);
    assert.equal(guest.output(Proc.STDOUT, last).toString(), 'to the last');
    // Its number is not used again, so that nothing late is taken for another's.
    const next = await guest.spawnBeside(['true']);
    assert.equal(next, last + 1);
    assert.equal(await guest.exit(next), 0);
    await guest.finish();
  });

  test('stdin of one that does not read it stays in its window', async (t) => {
    const guest = await Guest.start(t);
    const [idle, reading] = [await guest.spawnBeside(['sleep', '1000']), await guest.spawnBeside(['cat'])];
    for (let part = 0; part < 4; part++) guest.stdin(Buffer.alloc(STDIN_WINDOW_BYTES / 4), idle);
    guest.stdin('read', reading);
    guest.stdinEnd(reading);
    assert.equal(await guest.exit(reading), 0);
    assert.equal(guest.output(Proc.STDOUT, reading).toString(), 'read');
    await guest.signal(signals.SIGKILL, idle);
    assert.equal(await guest.exit(idle), signals.SIGKILL);
    await guest.finish();
  });

  test('one may end in the middle of a packet for it', async (t) => {
    const guest = await Guest.start(t);
    const ended = await guest.spawnBeside(sh('read x; exit 1'));
    const [head, tail] = [Buffer.alloc(20), Buffer.alloc(100_000 - 2, 'x')];
    for (const [at, value] of [20 + 100_000, Proc.STDIN, 1, 0, ended].entries()) head.writeUInt32BE(value, 4 * at);
    guest.socket.write(Buffer.concat([head, Buffer.from('y\n')]));
    assert.equal(await guest.exit(ended), 1 << 8);
    guest.socket.write(tail);
    assert.equal(await guest.exit(await guest.spawnBeside(['true'])), 0);
    await guest.finish();
  });
});

describe('what a process leaves running', () => {
  test('is heard out for a second of silence, whatever another process writes', async (t) => {
    const guest = await Guest.start(t);
    const loud = await guest.spawnBeside(['cat', '/dev/zero']);
    const started = await guest.spawnBeside(sh('sleep 1000 & exit 4'));
    assert.equal(await guest.exit(started), 4 << 8);
    await guest.signal(signals.SIGKILL, loud);
    assert.equal(await guest.exit(loud), signals.SIGKILL);
    await guest.finish();
  });

  test('gets signals until its output is given up', async (t) => {
    const guest = await Guest.start(t);
    const started = await guest.spawnBeside(sh(`${countTo(10_000)} & exit 0`));
    await guest.outputHas(Proc.STDOUT, '1\n2\n3\n', started);
    await guest.signal(signals.SIGKILL, started);
    assert.equal(await guest.exit(started), 0);
    await guest.finish();
  });

  test('is not taken for silent while the init itself stands still', async (t) => {
    const guest = await Guest.start(t);
    const started = await guest.spawnBeside(sh(`${countTo(60)} & exit 0`));
    await guest.outputHas(Proc.STDOUT, '2\n', started);
    guest.process.kill('SIGSTOP');
    await sleep(1300);
    guest.process.kill('SIGCONT');
    assert.equal(await guest.exit(started), 0);
    assert.equal(guest.output(Proc.STDOUT, started).toString(), numbersTo(60));
    await guest.finish();
  });
});

describe('a time limit', () => {
  const NOT_READ = 'one that nobody reads';
  const LIMITED: readonly (readonly [name: string, script: string, status: number, limitMs: number])[] = [
    ['one that writes without end, in another session', 'setsid cat /dev/zero & sleep 1000', signals.SIGKILL, 500],
    // The leader has to have ended by then.
    ['a group whose leader has ended', `${countTo(10_000)} & exit 0`, 0, 2000],
    [NOT_READ, 'cat /dev/zero', signals.SIGKILL, 500],
  ];
  for (const [name, script, status, timeLimit] of LIMITED) {
    test(`bounds ${name}`, async (t) => {
      const guest = await Guest.start(t);
      guest.acknowledges = name !== NOT_READ;
      const started = await guest.spawnBeside(sh(script), { timeLimit });
      const exited = decodeExit((await guest.exitPacket(started)).payload);
      assert.deepEqual([exited.status, exited.timedOut], [status, true]);
      await guest.finish();
    });
  }
});

describe('the end of the application', () => {
  test('ends all others, and its exit is the last packet', async (t) => {
    const guest = await Guest.start(t);
    guest.acknowledges = false;
    const pid = await guest.spawnBeside(sh('echo $$; exec sleep 1000'));
    // Its status would be that of a whole output, of which the host has a part only.
    const cut = await guest.spawnBeside(sh('head -c 1500000 /dev/zero; exit 0'));
    await guest.until(() => guest.output(Proc.STDOUT, cut).length === OUTPUT_WINDOW_BYTES, 'a window of output');
    await guest.outputHas(Proc.STDOUT, '\n', pid);
    await guest.shell('exit 6');
    guest.stdin('nobody reads this');
    assert.equal(await guest.exit(), 6 << 8);
    await gone(Number(guest.output(Proc.STDOUT, pid)));
    const refused = await guest.fails(errno.ESRCH, Proc.SPAWN, spawnPayload(['true'], { flags: 0 }));
    assert.equal(refused, 'spawn(true): the application has ended: No such process');
    const behind = guest.packets.slice(guest.packets.findIndex(({ proc }) => proc === Proc.EXIT) + 1);
    assert.deepEqual(
      behind.map(({ proc }) => proc),
      [Proc.SPAWN],
    );
    assert.equal(guest.packets.filter(({ proc }) => proc === Proc.EXIT).length, 1);
    const before = cpuTicks(guest.process.pid);
    await sleep(500);
    assert.ok(cpuTicks(guest.process.pid) - before < 20, 'it waits for QUIT without work');
    await guest.finish();
  });

  test('without an application the init serves until QUIT', async (t) => {
    const guest = await Guest.start(t);
    for (let round = 0; round < 3; round++) assert.equal(await guest.exit(await guest.spawnBeside(['true'])), 0);
    await guest.finish();
  });
});

/** What a process has used of processors, in hundredths of a second. */
function cpuTicks(pid: number | undefined): number {
  const [, after = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const fields = after.split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
