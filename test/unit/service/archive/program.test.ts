/** What a program that writes or reads a state says is wrong. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startProgram } from '../../../../src/service/archive/program.js';

describe('startProgram', () => {
  it('lets a program say more than anybody keeps', async () => {
    const words = 'echo tar: first >&2; head -c 1000000 /dev/zero | tr "\\0" x >&2; echo more >&2; echo done';
    const running = await startProgram(['sh', '-c', words]);
    running.stdin.end();
    let out = '';
    for await (const piece of running.stdout) out += piece;
    assert.equal(await running.ended, 'first');
    assert.equal(out, 'done\n');
  });

  it('has a reason for a program that says nothing', async () => {
    for (const [words, reason] of [
      ['true', undefined],
      ['exit 3', /exit code 3/],
    ] as const) {
      const running = await startProgram(['sh', '-c', words]);
      running.stdin.end();
      running.stdout.resume();
      const ended = await running.ended;
      if (reason === undefined) assert.equal(ended, undefined);
      else assert.match(ended ?? '', reason);
    }
  });
});
