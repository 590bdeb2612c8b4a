/** Reading and writing files of a sandbox: streams, and what breaks off. */
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { constants } from 'node:os';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Proc } from '../../../../src/protocol/wire.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { exit, stream } from '../../protocol/guest.js';
import { fails, LyingGuest, type Program, writes } from './guest.js';

const { signals } = constants;
const silent: Program = () => [];

describe('reading', () => {
  test('gives bytes, text or a stream', async () => {
    const text = writes(Buffer.from('hä'), Buffer.from('llo'));
    assert.deepEqual(await new LyingGuest(text).files.read('/x'), Buffer.from('hällo'));
    assert.equal(await new LyingGuest(text).files.read('/x', { encoding: 'utf8', maxBytes: 6 }), 'hällo');
    assert.equal(Buffer.concat(await new LyingGuest(text).files.readStream('/x').toArray()).toString(), 'hällo');
    const larger = new LyingGuest(text);
    await rejectsWith(larger.files.read('/x', { maxBytes: 5 }), 'file-too-large', /readStream\(\).*maxBytes/);
  });

  test('a stream fails with what failed, and kills its program when it is destroyed', async () => {
    const failing = new LyingGuest(fails('ENOENT', 'open(/x)'));
    await rejectsWith(failing.files.readStream('/x').toArray(), 'file-not-found');
    const half: Program = (process) => [stream(Proc.STDOUT, process, Buffer.from('half'))];
    const guest = new LyingGuest(half);
    for await (const chunk of guest.files.readStream('/x')) {
      assert.equal(String(chunk), 'half');
      break;
    }
    for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    assert.deepEqual(guest.signals, [signals.SIGKILL]);
    // One that is destroyed before its program has started.
    const early = new LyingGuest(half);
    early.files.readStream('/x').destroy();
    while (early.signals.length === 0) await nextTurn();
    const lost = new LyingGuest(half);
    const reading = rejectsWith(lost.files.readStream('/x').toArray(), 'process-lost');
    while (lost.started.length === 0) await nextTurn();
    lost.end();
    await reading;
  });

  test('one signal may be for many calls', async (t) => {
    const warnings: Error[] = [];
    const add = (warning: Error) => warnings.push(warning);
    process.on('warning', add);
    t.after(() => process.off('warning', add));
    const { files } = new LyingGuest(writes());
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 50 }, () => files.read('/x', { signal })));
    await nextTurn();
    assert.deepEqual(warnings, []);
  });

  test('a signal ends it, also where the program does not die', async () => {
    const guest = new LyingGuest(silent);
    guest.onSignal = () => [];
    const abort = new AbortController();
    const calls = [
      guest.files.read('/x', { signal: abort.signal }),
      guest.files.list('/x', { signal: abort.signal }),
      guest.files.write('/x', 'text', { signal: abort.signal }),
      guest.files.watch('/x', { signal: abort.signal }),
      guest.files.readStream('/x', { signal: abort.signal }).toArray(),
    ];
    const ended = calls.map((call) => assert.rejects(call, { message: 'enough' }));
    while (guest.started.length < calls.length) await nextTurn();
    abort.abort(new Error('enough'));
    await Promise.all(ended);
    assert.deepEqual(new Set(guest.signals), new Set([signals.SIGKILL, signals.SIGTERM]));
  });
});

describe('writing', () => {
  /** Ends with 0 when its stdin has ended. */
  async function endWell(guest: LyingGuest): Promise<void> {
    while (!guest.stdinEnded) await nextTurn();
    guest.say(exit(1));
  }

  test('takes a stream of strings and bytes', async () => {
    const guest = new LyingGuest(silent);
    const writing = guest.files.write('/x', Readable.from(['ä', Buffer.from('b'), new Uint8Array([99])]));
    await endWell(guest);
    await writing;
    assert.equal(guest.stdin, 'äbc');
    assert.deepEqual(guest.signals, []);
  });

  test('whose source fails sends no end of file', async () => {
    const guest = new LyingGuest(silent);
    async function* failing() {
      yield 'half';
      throw new RangeError('source');
    }
    await assert.rejects(guest.files.write('/x', failing()), RangeError);
    assert.deepEqual([guest.stdin, guest.stdinEnded, guest.signals[0]], ['half', false, signals.SIGTERM]);
    const wrong = new LyingGuest(silent);
    await rejectsWith(wrong.files.write('/x', Readable.from([{}]) as never), 'config-value-invalid', /a piece of what/);
    assert.equal(wrong.stdinEnded, false);
  });

  test('whose source fails before it is read rejects with that', async () => {
    const missing = createReadStream('/nonexistent');
    await assert.rejects(new LyingGuest(silent).files.write('/x', missing), { code: 'ENOENT' });
    const wrong = new Readable({ read: () => {} });
    await rejectsWith(new LyingGuest(silent).files.write('', wrong), 'config-value-invalid');
    assert.ok(wrong.destroyed);
  });

  test('whose source ends at the signal sends no end of file', async () => {
    const guest = new LyingGuest(silent);
    const abort = new AbortController();
    async function* ending() {
      yield 'half';
      await new Promise<void>((resolve) => abort.signal.addEventListener('abort', () => resolve()));
    }
    const writing = guest.files.write('/x', ending(), { signal: abort.signal });
    while (guest.stdin === '') await nextTurn();
    abort.abort(new Error('enough'));
    await assert.rejects(writing, { message: 'enough' });
    for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    assert.equal(guest.stdinEnded, false);
  });

  test('that fails returns its source, also while that waits', async () => {
    let returned = 0;
    const waiting: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: async () => {
          returned += 1;
          return { value: undefined, done: true };
        },
      }),
    };
    await rejectsWith(new LyingGuest(fails('ENOSPC', 'write(/x)')).files.write('/x', waiting), 'no-space');
    assert.equal(returned, 1);
  });

  test('that fails destroys its source', async () => {
    const source = new Readable({ read: () => {} });
    await rejectsWith(new LyingGuest(fails('ENOSPC', 'write(/x)')).files.write('/x', source), 'no-space');
    assert.ok(source.destroyed);
    const guest = new LyingGuest(silent);
    const other = new Readable({ read: () => {} });
    const writing = rejectsWith(guest.files.write('/x', other), 'process-lost');
    while (guest.started.length === 0) await nextTurn();
    guest.end();
    await writing;
    assert.ok(other.destroyed);
  });

  test('that fails takes no more of its source', async () => {
    let pieces = 0;
    async function* endless() {
      for (;;) {
        pieces += 1;
        yield Buffer.alloc(1 << 16);
        await nextTurn();
      }
    }
    const guest = new LyingGuest(silent);
    const writing = rejectsWith(guest.files.write('/x', endless()), 'no-space');
    while (pieces < 10) await nextTurn();
    guest.say(...fails('ENOSPC', 'write(/x)')(1));
    await writing;
    const taken = pieces;
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
    assert.ok(pieces <= taken + 1, `${pieces} pieces, ${taken} when it failed`);
    // One that ends well, and cannot have all.
    const liar = new LyingGuest(silent);
    const lying = rejectsWith(liar.files.write('/x', endless()), 'file-failed', /ended before it had all/);
    while (liar.stdin.length === 0) await nextTurn();
    liar.say(exit(1));
    await lying;
  });
});
