/** The application's streams, with a terminal and without. */

import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CallFlag,
  OUTPUT_WINDOW_BYTES,
  Proc,
  SpawnFlag,
  STDIN_WINDOW_BYTES,
  Status,
} from '../../../../src/protocol/wire.js';
import { ACKNOWLEDGED_BYTES, Guest, runPayload, spawnPayload, str, u32 } from './driver.js';
import { scratch } from './machine.js';

const { errno, signals } = constants;
const PTY = { flags: SpawnFlag.PTY, rows: 24, columns: 80 };

describe('streams', () => {
  test('10 MiB through cat come back unchanged', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['cat']);
    const data = Buffer.alloc(10 * 1024 * 1024);
    for (let i = 0; i < data.length; i += 4) data.writeUInt32LE((i * 2_654_435_761) >>> 0, i);
    for (let sent = 0; sent < data.length; ) {
      await guest.until(() => sent - guest.acknowledged < STDIN_WINDOW_BYTES, 'acknowledgement');
      const size = Math.min(100_000, STDIN_WINDOW_BYTES - (sent - guest.acknowledged), data.length - sent);
      guest.stdin(data.subarray(sent, sent + size));
      sent += size;
    }
    guest.stdinEnd();
    assert.equal(await guest.exit(), 0);
    assert.ok(guest.output(Proc.STDOUT).equals(data));
    assert.equal(guest.acknowledged, data.length);
    const acknowledgements = guest.packets.filter((each) => each.proc === Proc.STDIN).length;
    assert.ok(acknowledgements < 700, `${acknowledgements} acknowledgements for 105 packets`);
    await guest.finish();
  });

  test('lines are echoed with one packet for each, and are acknowledged when they are many', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['cat']);
    const echo = async (line: string) => {
      guest.stdin(line);
      await guest.outputHas(Proc.STDOUT, line);
    };
    const before = guest.packets.length;
    for (let at = 0; at < 100; at++) await echo(`line ${at}\n`);
    assert.equal(guest.packets.length, before + 100);
    assert.equal(guest.acknowledged, 0);
    await echo(`${'x'.repeat(ACKNOWLEDGED_BYTES)}\n`);
    await guest.until(() => guest.acknowledged >= ACKNOWLEDGED_BYTES, 'acknowledgement');
    guest.stdinEnd();
    assert.equal(await guest.exit(), 0);
    await guest.finish();
  });

  test('what is little, what is much and what is little again of one stream come in order', async (t) => {
    const guest = await Guest.start(t);
    const parts = ['a', 'b'.repeat(200_000), 'c', 'd'.repeat(70_000), 'e'];
    await guest.shell(
      "for part in a b c d e; do read -r size; head -c $size /dev/zero | tr '\\0' $part; done; read -r end",
    );
    let expected = '';
    for (const part of parts) {
      guest.stdin(`${part.length}\n`);
      expected += part;
      await guest.until(() => guest.output(Proc.STDOUT).length >= expected.length, `the ${part[0]}`);
    }
    assert.ok(guest.output(Proc.STDOUT).toString() === expected);
    guest.stdin('\n');
    assert.equal(await guest.exit(), 0);
    await guest.finish();
  });

  describe('of a program with O_DIRECT on its output', () => {
    const NUMBERS = Array.from({ length: 12_288 }, (_, at) => `${at}\n`.padStart(10, '0')).join('');
    /** Each write is of three packets, which are there at once. */
    const WRITE = 'seq -f %09.0f 0 12287 | dd bs=12288 oflag=direct iflag=fullblock status=none';

    test('packets come whole and in order', async (t) => {
      const guest = await Guest.start(t);
      await guest.shell(WRITE);
      assert.equal(await guest.exit(), 0);
      assert.ok(guest.output(Proc.STDOUT).toString() === NUMBERS);
      await guest.finish();
    });

    test('no packet is cut where the window is nearly full', async (t) => {
      const guest = await Guest.start(t);
      guest.acknowledges = false;
      const said = (bytes: number) => guest.until(() => guest.output(Proc.STDOUT).length === bytes, `byte ${bytes}`);
      const before = OUTPUT_WINDOW_BYTES - 6500;
      const small = WRITE.replace('bs=12288', 'bs=1024');
      await guest.shell(`head -c ${before - 2} /dev/zero; read line; echo x; read line; ${small}`);
      await said(before - 2);
      // What follows a line is read, and not moved.
      guest.stdin('\n');
      await said(before);
      guest.stdin('\n');
      // A part of the seventh packet would fit.
      await said(before + 3072);
      guest.acknowledges = true;
      guest.acknowledge(Proc.STDOUT, before + 3072);
      assert.equal(await guest.exit(), 0);
      assert.ok(guest.output(Proc.STDOUT).subarray(before).toString() === NUMBERS);
      await guest.finish();
    });
  });

  test('stdin for a process that is not there is ignored', async (t) => {
    const guest = await Guest.start(t);
    for (const process of [0, 1, 7]) {
      guest.stdin('one\n', process);
      guest.stdinEnd(process);
    }
    await guest.spawn(['cat']);
    guest.stdin('two\n');
    guest.stdinEnd();
    assert.equal(await guest.exit(), 0);
    assert.equal(guest.output(Proc.STDOUT).toString(), 'two\n');
    await guest.finish();
  });

  test('a program that does not read its stdin still gets signals', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['sleep', '1000']);
    for (let i = 0; i < 8; i++) guest.stdin(Buffer.alloc(STDIN_WINDOW_BYTES / 8));
    guest.stdinEnd();
    await guest.signal(signals.SIGTERM);
    assert.equal(await guest.exit(), signals.SIGTERM);
    await guest.until(() => guest.acknowledged === STDIN_WINDOW_BYTES, 'acknowledgement of what nobody read');
    await guest.finish();
  });

  test('more stdin than the window ends the connection', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['sleep', '1000']);
    // The pipe takes twice the window, and what it has taken is acknowledged.
    for (let i = 0; i < 20; i++) guest.stdin(Buffer.alloc(STDIN_WINDOW_BYTES / 4));
    await guest.ended();
    assert.match(guest.said, /more stdin than it may/);
  });

  test('stdin for a program that has closed it is discarded and acknowledged', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('exec 0<&-; echo closed; sleep 1000');
    await guest.outputHas(Proc.STDOUT, 'closed');
    for (let i = 1; i <= 20; i++) {
      guest.stdin(Buffer.alloc(100_000));
      await guest.until(() => guest.acknowledged === i * 100_000, 'acknowledgement');
    }
    await guest.signal(signals.SIGTERM);
    await guest.finish();
  });

  test('stdin is served during a slow operation', async (t) => {
    const file = `${await scratch(t)}/may-end`;
    const guest = await Guest.start(t);
    await guest.spawn(['cat']);
    const run = guest.send(Proc.RUN, runPayload(['sh', '-c', `until [ -e ${file} ]; do sleep 0.02; done`]));
    guest.stdin('through\n');
    await guest.outputHas(Proc.STDOUT, 'through');
    assert.ok(!guest.packets.some((each) => each.serial === run), 'the operation has not ended yet');
    await writeFile(file, '');
    await guest.reply(run);
    await guest.finish();
  });

  test('output waits for a slow host, and operations are answered meanwhile', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const bytes = 8 * 1024 * 1024;
    guest.socket.pause();
    await new Promise((resolve) => setImmediate(resolve));
    const spawned = guest.send(
      Proc.SPAWN,
      spawnPayload(['/bin/sh', '-c', `head -c ${bytes} /dev/zero; touch ${directory}/done`]),
    );
    await sleep(500);
    await assert.rejects(stat(`${directory}/done`), { code: 'ENOENT' }, 'the program had to wait');
    const asked = guest.send(Proc.STAT, Buffer.concat([str('/'), u32(0)]));
    guest.socket.resume();
    guest.application = (await guest.reply(spawned)).result.readUInt32BE(0);
    assert.equal((await guest.reply(asked)).status, Status.OK);
    assert.equal(await guest.exit(), 0);
    assert.equal(guest.output(Proc.STDOUT).length, bytes);
    await guest.finish();
  });

  test('two streams at full speed both arrive complete', async (t) => {
    const guest = await Guest.start(t);
    const bytes = 3_000_000;
    await guest.shell(`head -c ${bytes} /dev/zero >&2 & head -c ${bytes} /dev/zero | tr '\\0' x; wait`);
    assert.equal(await guest.exit(), 0);
    assert.ok(guest.output(Proc.STDOUT).equals(Buffer.alloc(bytes, 'x')));
    assert.ok(guest.output(Proc.STDERR).equals(Buffer.alloc(bytes)));
    await guest.finish();
  });
});

describe('a terminal', () => {
  test('is the controlling terminal, with its size', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell(
      'stty size; tty </dev/tty >/dev/null && echo controlling; test -t 0 -a -t 1 -a -t 2 && echo all; echo err >&2',
      {
        ...PTY,
        rows: 33,
        columns: 101,
      },
    );
    assert.equal(await guest.exit(), 0);
    assert.equal(guest.output(Proc.STDOUT).toString(), '33 101\r\ncontrolling\r\nall\r\nerr\r\n');
    assert.ok(guest.outputEnded(Proc.STDOUT));
    assert.ok(!guest.packets.some((each) => each.proc === Proc.STDERR));
    await guest.finish();
  });

  test('RESIZE changes the size, and needs a terminal', async (t) => {
    const guest = await Guest.start(t);
    const size = (process: number, rows = 50) => Buffer.concat([u32(process), u32(rows), u32(132)]);
    const plain = await guest.spawnBeside(['sleep', '1000']);
    await guest.fails(errno.ENOTTY, Proc.RESIZE, size(plain), CallFlag.TOLERATE);
    await guest.fails(errno.ESRCH, Proc.RESIZE, size(plain + 1), CallFlag.TOLERATE);
    await guest.shell('trap "stty size; exit 4" WINCH; echo set; while :; do sleep 0.05; done', PTY);
    await guest.outputHas(Proc.STDOUT, 'set');
    await guest.fails(errno.EINVAL, Proc.RESIZE, size(guest.application, 65_536), CallFlag.TOLERATE);
    await guest.ok(Proc.RESIZE, size(guest.application));
    assert.equal(await guest.exit(), 4 << 8);
    await guest.outputHas(Proc.STDOUT, '50 132');
    await guest.finish();
  });

  test('the end of stdin is typed as Ctrl+D after a complete line', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['cat'], PTY);
    guest.stdin('hello\n');
    guest.stdinEnd();
    assert.equal(await guest.exit(), 0);
    assert.equal(guest.output(Proc.STDOUT).toString(), 'hello\r\nhello\r\n');
    await guest.finish();
  });

  test('the end of stdin is typed as Ctrl+D after an incomplete line', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['cat'], PTY);
    guest.stdin('hello');
    guest.stdinEnd();
    assert.equal(await guest.exit(), 0);
    assert.match(guest.output(Proc.STDOUT).toString(), /^hello.*hello/s);
    await guest.finish();
  });

  test('SIGNAL goes to the foreground process group', async (t) => {
    const guest = await Guest.start(t);
    const script = 'trap "echo shell got it" INT; echo ready; sleep 1000; echo status $?; exit 5';
    await guest.spawn(['bash', '-ic', script], { ...PTY, environment: ['PATH=/usr/bin:/bin', 'HOME=/nonexistent'] });
    await guest.outputHas(Proc.STDOUT, 'ready');
    // The shell may not have started its sleep yet. Then it is in the foreground itself, and continues.
    for (let i = 0; !guest.output(Proc.STDOUT).includes('status 130') && i < 100; i++) {
      await guest.call(Proc.SIGNAL, Buffer.concat([u32(guest.application), u32(signals.SIGINT)]), CallFlag.TOLERATE);
      await sleep(100);
    }
    assert.equal(await guest.exit(), 5 << 8);
    await guest.finish();
  });

  test('control characters work as usual', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('echo started; exec sleep 1000', PTY);
    await guest.outputHas(Proc.STDOUT, 'started');
    await sleep(100);
    guest.stdin('\x03');
    assert.equal(await guest.exit(), signals.SIGINT);
    await guest.finish();
  });

  test('long output arrives complete', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('stty -opost; head -c 1000000 /dev/zero | tr "\\0" y', PTY);
    assert.equal(await guest.exit(), 0);
    assert.ok(guest.output(Proc.STDOUT).equals(Buffer.alloc(1_000_000, 'y')));
    await guest.finish();
  });
});
