/** Keys on their way to a program. */
import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { copyKeys } from '../../../../src/cli/terminal/forward.js';

/** A program that takes what is written when it is told to. */
class Program extends Writable {
  taken = 0;
  #take: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 1024 });
  }

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#take = () => {
      this.taken += bytes.length;
      done();
    };
  }

  async takeAll(): Promise<void> {
    for (; this.#take; await nextTurn()) {
      const take = this.#take;
      this.#take = undefined;
      take();
    }
  }
}

describe('keys', () => {
  it('wait in the terminal while the program takes none', async () => {
    const [keyboard, program] = [new PassThrough({ highWaterMark: 1024 }), new Program()];
    const release = copyKeys(keyboard, program, assert.fail);
    for (let at = 0; at < 100; at += 1) {
      keyboard.write(Buffer.alloc(1024, 'x'));
      await nextTurn();
    }
    assert.ok(program.writableLength <= 2048, `${program.writableLength} bytes are kept`);
    await program.takeAll();
    assert.equal(program.taken, 100 * 1024);
    release();
  });

  it('leave at Ctrl+], also when the program has ended', async () => {
    const [keyboard, program] = [new PassThrough(), new Program()];
    let left = 0;
    copyKeys(keyboard, program, () => {
      left += 1;
    });
    program.on('error', () => {});
    keyboard.write('a\u001db');
    await nextTurn();
    assert.equal(left, 1);
    await program.takeAll();
    assert.equal(program.taken, 1);
    program.destroy();
    for (const key of ['x', '\u001d']) {
      keyboard.write(key);
      await nextTurn();
    }
    assert.equal(left, 2);
  });
});
