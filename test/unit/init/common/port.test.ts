/** A port whose launcher does not read: what waits for it is bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MANY_PACKETS, Port } from '../../../../init/common/port.js';

/** A port that takes a packet when it is told to, and a source of packets that stops when it is paused. */
class SlowPort {
  isPaused = false;
  readonly taken: Uint8Array[] = [];
  readonly port: Port;
  #takeOne: (() => void) | undefined;

  constructor() {
    const write = (bytes: Uint8Array) =>
      new Promise<{ bytesWritten: number }>((resolve) => {
        this.#takeOne = () => {
          this.taken.push(bytes);
          resolve({ bytesWritten: bytes.length });
        };
      });
    const read = () => assert.fail('nothing is read');
    const pause = () => {
      this.isPaused = true;
    };
    const resume = () => {
      this.isPaused = false;
    };
    this.port = new Port({ read, write }, { pause, resume });
  }

  async take(): Promise<void> {
    await nextTurn();
    this.#takeOne?.();
    await nextTurn();
  }
}

test('nothing more is read while many packets wait, and reading goes on behind that', async () => {
  const slow = new SlowPort();
  let given = 0;
  const give = () => {
    while (!slow.isPaused && given < 10 * MANY_PACKETS) {
      given += 1;
      void slow.port.write(Buffer.of(given % 256));
    }
  };
  give();
  assert.equal(given, MANY_PACKETS);
  await slow.take();
  give();
  assert.equal(given, MANY_PACKETS + 1);
  while (slow.taken.length < 10 * MANY_PACKETS) {
    await slow.take();
    give();
    assert.ok(slow.port.pending <= MANY_PACKETS);
  }
  assert.deepEqual(Buffer.concat(slow.taken), Buffer.from(Array.from({ length: given }, (_, at) => (at + 1) % 256)));
});

test('what waits for a launcher that is gone is dropped, and reading goes on', async () => {
  const slow = new SlowPort();
  const writes = Array.from({ length: MANY_PACKETS }, () => slow.port.write(Buffer.of(1)));
  assert.ok(slow.isPaused);
  slow.port.abandon();
  await Promise.all(writes);
  assert.deepEqual([slow.port.pending, slow.isPaused, slow.taken.length], [0, false, 0]);
});
