/** `watch`: what changes once it says that it sees it, and what was lost. */
import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { Proc } from '../../../../src/protocol/wire.js';
import { changesIn, ODD_NAME, Programs } from './programs.js';

const { errno, signals } = constants;

describe('watch', () => {
  test('writes what changes once it says that it sees it', async (t) => {
    const programs = await Programs.start(t);
    const { guest } = programs;
    const number = await programs.begin(['watch', programs.directory, '0']);
    const changes = () => changesIn(guest.output(Proc.STDOUT, number));
    await guest.until(() => changes().length === 1, 'that it watches');
    const odd = Buffer.concat([Buffer.from(`${programs.directory}/`), ODD_NAME]);
    mkdirSync(odd);
    writeFileSync(programs.path('a'), 'x');
    renameSync(programs.path('a'), programs.path('b'));
    rmSync(programs.path('b'));
    rmSync(programs.directory, { recursive: true });
    assert.equal(await guest.exit(number), 0);
    const [[, from = 0] = [], [, to = 1] = []] = changes().filter(([change]) => change === 4 || change === 5);
    assert.ok(from > 0);
    assert.equal(from, to);
    assert.deepEqual(
      changes().map(([change, cookie, name]) => [change, cookie === from ? 'move' : cookie, name]),
      [
        [0, 0, ''],
        [1, 0, ODD_NAME.toString('latin1')],
        [1, 0, 'a'],
        [2, 0, 'a'],
        [4, 'move', 'a'],
        [5, 'move', 'b'],
        [3, 0, 'b'],
        [3, 0, ODD_NAME.toString('latin1')],
        [3, 0, ''],
      ],
    );
    await guest.finish();
  });

  test('says what was lost while nobody took its output, and ends when it is killed', async (t) => {
    const programs = await Programs.start(t);
    const { guest } = programs;
    const number = await programs.begin(['watch', '.', '0']);
    await guest.until(() => guest.output(Proc.STDOUT, number).length > 0, 'that it watches');
    const queue = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
    // More than the queue of the kernel and all buffers in between have room for. Nothing is read meanwhile.
    const files = ['m', 'n'].map((letter) => openSync(programs.path(letter.repeat(250)), 'w'));
    for (let at = 0; at < queue / 2 + 6000; at += 1) {
      for (const file of files) writeSync(file, 'x');
    }
    for (const file of files) closeSync(file);
    const last = () => {
      const output = guest.output(Proc.STDOUT, number);
      return output.includes(Buffer.from([0, 0, 0, 12, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]));
    };
    await guest.until(last, 'the overflow');
    await guest.signal(signals.SIGKILL, number);
    assert.equal(await guest.exit(number), signals.SIGKILL);
    await guest.finish();
  });

  test('fails', async (t) => {
    const programs = await Programs.start(t);
    assert.equal(await programs.fails(errno.ENOENT, ['watch', 'none', '0']), 'inotify_add_watch(none)');
    await programs.guest.finish();
  });
});
