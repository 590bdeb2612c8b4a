/** The end of the native init: EXIT, QUIT, POWER_OFF, and a closed connection. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeExit } from '../../../../src/protocol/exit.js';
import { Proc, Status } from '../../../../src/protocol/wire.js';
import { Guest, runPayload } from './driver.js';
import { gone } from './machine.js';

describe('the end', () => {
  test('EXIT is the last packet, and the host may take its time to read up to it', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('echo last');
    await guest.exit();
    assert.equal(guest.packets.at(-1)?.proc, Proc.EXIT);
    const ended = guest.ended().then(() => 'ended');
    const waited = new Promise((resolve) => setTimeout(() => resolve('waiting'), 1500));
    assert.equal(await Promise.race([ended, waited]), 'waiting');
    await guest.finish();
  });

  test('EXIT reports the time to drain the output and the time to end', async (t) => {
    const guest = await Guest.start(t);
    // The init waits for a process that holds the output until a second of silence.
    await guest.shell('sleep 1000 & exit 7');
    await guest.exit();
    const exit = guest.packets.at(-1);
    assert.ok(exit?.proc === Proc.EXIT);
    const { status, timedOut, drained, finished } = decodeExit(exit.payload);
    assert.equal(status, 7 << 8);
    assert.equal(timedOut, false);
    assert.ok(drained >= 900_000 && drained < 60_000_000, `${drained} µs`);
    assert.ok(finished < 60_000_000, `${finished} µs`);
    await guest.finish();
  });

  test('QUIT after EXIT ends it', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('exit 1');
    await guest.exit();
    await guest.finish();
  });

  const ends: [string, (guest: Guest) => void][] = [
    ['QUIT', (guest) => guest.quit()],
    ['the end of the connection', (guest) => guest.socket.end()],
    ['a broken connection', (guest) => guest.socket.destroy()],
    ['SIGTERM', (guest) => guest.process.kill('SIGTERM')],
    ['SIGINT', (guest) => guest.process.kill('SIGINT')],
    ['SIGPWR', (guest) => guest.process.kill('SIGPWR')],
  ];
  for (const [name, end] of ends) {
    test(`${name} kills the application and sends no EXIT`, async (t) => {
      const guest = await Guest.start(t);
      const pid = await guest.shell('trap "" TERM HUP; sleep 1000 & echo $!; wait; sleep 1000');
      await guest.outputHas(Proc.STDOUT, '\n');
      end(guest);
      await guest.ended();
      assert.ok(!guest.packets.some((each) => each.proc === Proc.EXIT));
      await gone(pid);
      await gone(Number(guest.output(Proc.STDOUT)));
    });
  }

  test('QUIT also ends it while the application writes and an operation runs', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('yes');
    guest.send(Proc.RUN, runPayload(['sleep', '50'], { timeout: 60_000 }));
    await guest.outputHas(Proc.STDOUT, 'y\n');
    await guest.finish();
  });

  test('the end of the connection ends it even when nothing can be written', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('yes');
    guest.socket.pause();
    await sleep(300);
    guest.socket.destroy();
    await guest.ended();
  });

  test('POWER_OFF is answered first', async (t) => {
    const guest = await Guest.start(t);
    const pid = await guest.spawn(['sleep', '1000']);
    assert.equal((await guest.call(Proc.POWER_OFF)).status, Status.OK);
    await guest.ended();
    await gone(pid);
  });
});
