/** What the holder of a detached sandbox tells its caller. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type FromHolder, observersFor, Teller } from '../../../../src/cli/hold/caller.js';

const QUIET = { verbose: false, debug: true, initDebug: true };

/** A socket that takes what is written when it is told to. */
class Reader {
  writable = true;
  writableLength = 0;
  readonly messages: FromHolder[] = [];

  readonly write = (text: string): boolean => {
    this.writableLength += text.length;
    this.messages.push(JSON.parse(text));
    return true;
  };
}

describe('a caller', () => {
  it('that reads nothing costs no memory without end, and hears what counts', () => {
    const reader = new Reader();
    const teller = new Teller(reader);
    const line = { observed: 'onConsole', value: 'x'.repeat(1 << 16) } as const;
    for (let count = 0; count < 1000; count += 1) teller.tell(line);
    assert.ok(reader.writableLength < 5 << 20, `${reader.writableLength} bytes`);
    const shown = reader.messages.length;
    reader.messages.length = 0;
    teller.tell({ running: 'web' });
    const note = `virt-sandbox: ${1000 - shown} messages were left out: nobody read them\n`;
    assert.deepEqual(reader.messages, [{ note }, { running: 'web' }]);
    reader.writableLength = 0;
    teller.tell({ note: 'n' });
    assert.deepEqual(reader.messages.at(-1), { note: 'n' });
    reader.writable = false;
    teller.tell({ running: 'late' });
    assert.deepEqual(reader.messages.at(-1), { note: 'n' });
  });

  it('is not sent the bytes of files', () => {
    const told: FromHolder[] = [];
    const observers = observersFor(QUIET, (message) => told.push(message));
    const data = Buffer.alloc(32 << 20);
    data.toJSON = () => assert.fail('an array of all bytes is made');
    const operation = {
      op: 'writeFile',
      path: '/x',
      mode: 1n,
      data,
      list: [{ data }, 2, null],
      error: new Error('why'),
    };
    observers.onOperation?.(operation as never);
    const value = { op: 'writeFile', path: '/x', mode: '1', list: [{}, 2, null], error: { message: 'why' } };
    assert.deepEqual(JSON.parse(JSON.stringify(told.at(-1))), { observed: 'onOperation', value });
    observers.onConsole?.(Buffer.from([0xff, 0]));
    assert.deepEqual(told.at(-1), { observed: 'onConsole', value: '/wA=' });
  });
});
