/** What a holder tells the process that waits for it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';

const HELD = new URL('../../../src/cli/hold/held.js', import.meta.url);

/** Tells things all the time, and whether the name was taken. */
const HOLDER = `
  const { Caller } = await import('${HELD}');
  const caller = new Caller('--hold');
  await caller.words();
  caller.tell({ note: 'before' });
  const taking = caller.takes('name');
  const timer = setInterval(() => caller.tell({ note: 'after' }), 1);
  console.log(await taking);
  clearInterval(timer);`;

describe('a holder', () => {
  it('tells nothing behind the name, so that a caller who exits has read all', async (t) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', HOLDER], {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    const socket = child.stdio[3] as Socket;
    let told = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      told += text;
    });
    let out = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    socket.write('{"words":[],"allocator":[]}\n');
    while (!told.includes('running')) await once(socket, 'data');
    // It would tell a hundred things meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(told, '{"note":"before"}\n{"running":"name"}\n');
    socket.end('{"taken":true}\n');
    await once(child, 'close');
    assert.equal(out, 'true\n');
  });
});
