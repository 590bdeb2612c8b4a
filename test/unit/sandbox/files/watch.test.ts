/** Watching files of a sandbox: changes, ends, and records that cannot be. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Proc } from '../../../../src/protocol/wire.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { exit, numbers, stream } from '../../protocol/guest.js';
import { changeRecord, fails, LyingGuest, type Program, writes } from './guest.js';

const { signals } = constants;

describe('watching', () => {
  const watching: Program = (process) => [stream(Proc.STDOUT, process, changeRecord(0, ''))];

  test('gives changes until it is returned', async () => {
    const guest = new LyingGuest(watching);
    const watcher = await guest.files.watch('/x');
    const kinds = ['create', 'modify', 'remove', 'rename-from', 'rename-to', 'overflow'];
    for (const kind of kinds.keys()) guest.say(stream(Proc.STDOUT, 1, changeRecord(kind + 1, `${kind}`, kind)));
    const changes: unknown[] = [];
    for await (const change of watcher) {
      changes.push(change);
      if (changes.length === kinds.length) break;
    }
    assert.deepEqual(
      changes,
      kinds.map((type, cookie) => ({ type, name: `${cookie}`, cookie })),
    );
    assert.deepEqual(guest.signals, [signals.SIGKILL]);
    assert.deepEqual(await watcher.next(), { value: undefined, done: true });
  });

  test('below directories gives paths, and says where they are too many', async () => {
    const guest = new LyingGuest(watching);
    const watcher = await guest.files.watch('/x', { recursive: true });
    assert.deepEqual(guest.started[0]?.argv, ['watch', '/x', '1']);
    guest.say(stream(Proc.STDOUT, 1, changeRecord(1, Buffer.from('a/\xff/b', 'latin1'))));
    assert.equal((await watcher.next()).value?.name, 'a/\udcff/b');
    guest.say(...fails('EMFILE', 'watch(/x): more than 32768 directories')(1));
    await rejectsWith(watcher.next(), 'too-many-watches', /more than 32768 directories.*smaller tree/);
    await rejectsWith(guest.files.watch('/x', { recursive: 1 } as object), 'config-value-invalid', /"recursive"/);
  });

  test('gives nothing after it was returned', async () => {
    const guest = new LyingGuest(watching);
    const watcher = await guest.files.watch('/x');
    guest.say(stream(Proc.STDOUT, 1, Buffer.concat([changeRecord(1, 'a'), changeRecord(1, 'b')])));
    assert.equal((await watcher.next()).value?.name, 'a');
    await watcher.return();
    assert.deepEqual(await watcher.next(), { value: undefined, done: true });
  });

  test('ends with what it watches, with its signal and with the sandbox', async () => {
    const abort = new AbortController();
    for (const end of [
      (guest: LyingGuest) => guest.say(exit(1)),
      () => abort.abort(),
      (guest: LyingGuest) => guest.end(),
    ]) {
      const guest = new LyingGuest(watching);
      const watcher = await guest.files.watch('/x', { signal: abort.signal.aborted ? undefined : abort.signal });
      const pending = watcher.next();
      end(guest);
      assert.equal((await pending).done, true);
    }
  });

  test('fails with what failed', async () => {
    await rejectsWith(new LyingGuest(fails('ENOENT', 'inotify_add_watch(/x)')).files.watch('/x'), 'file-not-found');
    await rejectsWith(new LyingGuest(writes()).files.watch('/x'), 'file-failed');
    for (const [bytes, pattern] of [
      [changeRecord(1, 'a/../b'), /an entry with the name/],
      [changeRecord(1, '/etc'), /an empty name/],
      [changeRecord(1, 'a/'), /an empty name/],
      [changeRecord(1, `${'d/'.repeat(2047)}xy`), /a path of 4096 bytes/],
      [changeRecord(7, 'a'), /a change 7/],
      [numbers(8193), /a record of 8193 bytes/],
    ] as const) {
      const guest = new LyingGuest(watching);
      const watcher = await guest.files.watch('/x');
      guest.say(stream(Proc.STDOUT, 1, bytes));
      await rejectsWith(watcher.next(), 'file-failed', pattern);
      await nextTurn();
      assert.deepEqual(guest.signals, [signals.SIGKILL]);
    }
    const killed = new LyingGuest(watching);
    const watcher = await killed.files.watch('/x');
    killed.say(exit(1, signals.SIGKILL));
    await rejectsWith(watcher.next(), 'file-failed', /status 137/);
  });
});
