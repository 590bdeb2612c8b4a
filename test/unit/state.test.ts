/** Claiming a name: many at once, and over what a dead sandbox has left. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { scratchDirectory, unlessRoot } from '../helpers/scratch.js';

const STATE = new URL('../../src/sandbox/state.js', import.meta.url).href;
const RACERS = 12;
const ROUNDS = 6;

/** Claims when it is told to, says who has the name, and holds it until its input ends. */
const RACER = `
  import { once } from 'node:events';
  process.setgid?.(65534); process.setuid?.(65534);
  const { claimState } = await import(process.argv[1]);
  const ended = once(process.stdin, 'end');
  console.log('ready');
  await once(process.stdin, 'data');
  process.stdin.resume();
  let said;
  try { claimState('contested'); said = 'claimed'; } catch (error) { said = error.code + ' ' + error.message; }
  console.log(said);
  await ended;
  process.exit();
`;

const children: ChildProcess[] = [];

/** A racer; `said` gives its lines in turn. */
function startRacer(cache: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', RACER, STATE], {
    env: { ...process.env, XDG_CACHE_HOME: cache },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, said: async () => String((await lines.next()).value) };
}

test('of many who find what a dead one left, one has the name', {
  skip: unlessRoot('takes another user'),
}, async (t) => {
  const cache = scratchDirectory(t);
  t.after(() => {
    for (const child of children) child.kill();
  });
  chownSync(cache, 65_534, 65_534);
  const path = join(cache, 'libvirt-sandbox/contested');
  for (let round = 0; round < ROUNDS; round += 1) {
    if (!existsSync(path)) {
      mkdirSync(path, { recursive: true });
      for (const made of [join(cache, 'libvirt-sandbox'), path]) chownSync(made, 65_534, 65_534);
    }
    // With an owner that is dead; in every other round without one, as after a removal that was cut short.
    if (round % 2 === 0) writeFileSync(join(path, 'owner'), '4194304 1\n');
    else writeFileSync(join(path, 'left'), '');
    const racers = Array.from({ length: RACERS }, () => startRacer(cache));
    assert.deepEqual(new Set(await Promise.all(racers.map((racer) => racer.said()))), new Set(['ready']));
    for (const { child } of racers) child.stdin.write('go\n');
    const said = await Promise.all(racers.map((racer) => racer.said()));
    assert.equal(said.filter((text) => text === 'claimed').length, 1, said.join('\n'));
    for (const text of said) assert.match(text, /^(claimed$|name-in-use )/);
    assert.match(readFileSync(join(path, 'owner'), 'utf8'), /^\d+ \d+\n$/);
    assert.deepEqual(readdirSync(path), ['owner'], 'nothing of the dead one is left');
    assert.deepEqual(readdirSync(join(cache, 'libvirt-sandbox')).sort(), ['.lock', 'contested']);
    await Promise.all(
      racers.map(async ({ child }) => {
        child.stdin.end();
        await once(child, 'close');
      }),
    );
  }
});
