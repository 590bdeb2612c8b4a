/** Claiming a name: races over a dead sandbox's state, and paths too long for sockets. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext, test } from 'node:test';
import { Supervisor } from '../../../../src/libvirt/supervisor.js';
import { socketDirectory } from '../../../../src/sandbox/state/alias.js';
import { claimState, claimStateMeanwhile, releaseState } from '../../../../src/sandbox/state/state-directory.js';
import { hostProgram } from '../../../../src/util/programs.js';
import { aliasesOf, uniqueName } from '../../../helpers/leftovers.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const STATE = new URL('../../../../src/sandbox/state/state-directory.js', import.meta.url).href;
const RACERS = 12;
const ROUNDS = 6;

/** Claims on `go` and prints what came of it; releases what it has on `release`. */
const RACER = `
  import { createInterface } from 'node:readline';
  process.setgid?.(65534); process.setuid?.(65534);
  const { claimState, releaseState } = await import(process.argv[1]);
  console.log('ready');
  let state;
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'go') {
      try { state = claimState('contested', 'embedded'); console.log('claimed'); }
      catch (error) { console.log(error.code + ' ' + error.message); }
    } else {
      if (state) releaseState(state);
      state = undefined;
      console.log('released');
    }
  }
`;

const children: ChildProcess[] = [];

/** A racer; `said` returns its lines in turn. */
function startRacer(cache: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', RACER, STATE], {
    env: { ...process.env, XDG_CACHE_HOME: cache },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, said: async () => String((await lines.next()).value) };
}

test('one of many wins the name that a dead sandbox left', {
  skip: unlessRoot('takes another user'),
}, async (t) => {
  const cache = scratchDirectory(t);
  t.after(() => {
    for (const child of children) child.kill();
  });
  chownSync(cache, 65_534, 65_534);
  const path = join(cache, 'libvirt-sandbox/contested');
  const racers = Array.from({ length: RACERS }, () => startRacer(cache));
  const answers = () => Promise.all(racers.map((racer) => racer.said()));
  const ask = (word: 'go' | 'release') => {
    for (const { child } of racers) child.stdin.write(`${word}\n`);
    return answers();
  };
  assert.deepEqual(new Set(await answers()), new Set(['ready']));
  for (let round = 0; round < ROUNDS; round += 1) {
    mkdirSync(path, { recursive: true });
    for (const made of [join(cache, 'libvirt-sandbox'), path]) chownSync(made, 65_534, 65_534);
    // Even rounds leave a dead owner; odd rounds leave none, as after an interrupted removal.
    if (round % 2 === 0) writeFileSync(join(path, 'owner'), '4194304 1\n');
    else writeFileSync(join(path, 'left'), '');
    const said = await ask('go');
    assert.equal(said.filter((text) => text === 'claimed').length, 1, said.join('\n'));
    for (const text of said) assert.match(text, /^(claimed$|name-in-use )/);
    assert.match(readFileSync(join(path, 'owner'), 'utf8'), /^\d+ \d+ \w+-\d+ \d+\n$/);
    assert.deepEqual(readdirSync(path), ['owner'], 'nothing of the dead one is left');
    assert.deepEqual(readdirSync(join(cache, 'libvirt-sandbox')).sort(), ['.lock', 'contested']);
    await ask('release');
    assert.equal(existsSync(path), false);
  }
  await Promise.all(
    racers.map(async ({ child }) => {
      child.stdin.end();
      await once(child, 'close');
    }),
  );
});

test('nobody else can take the lock of a state directory', { skip: unlessRoot('takes another user') }, (t) => {
  const state = claimState(uniqueName(), 'embedded');
  t.after(() => releaseState(state));
  const lock = ['flock', '--nonblock', '--conflict-exit-code', '9', join(state.path, 'owner'), 'true'];
  const { status, stderr } = spawnSync('setpriv', ['--reuid=65534', '--clear-groups', ...lock], { encoding: 'utf8' });
  assert.equal(status, 66, 'EX_NOINPUT: it cannot be opened');
  assert.match(stderr, /Permission denied/);
});

test('a state directory is released only by its own claim', (t) => {
  const name = uniqueName();
  const state = claimState(name, 'session');
  const aside = `${state.path}-aside`;
  renameSync(state.path, aside);
  t.after(() => rmSync(aside, { recursive: true }));
  const next = claimState(name, 'session');
  releaseState(state);
  assert.equal(readFileSync(join(next.path, 'owner'), 'utf8'), next.owner);
  releaseState(next);
  assert.equal(existsSync(next.path), false);
});

describe('a state directory whose path is too long for its sockets', () => {
  const longName = () => `${uniqueName()}-${'n'.repeat(180)}`;
  /** Claims a name, and removes its state after the test. */
  const claimed = (t: TestContext, kind: 'embedded' | 'session') => {
    const name = longName();
    const state = claimState(name, kind);
    assert.notEqual(state.sockets, state.path);
    t.after(() => {
      for (const path of [state.path, dirname(state.sockets)]) rmSync(path, { recursive: true, force: true });
    });
    return { name, state };
  };

  it('has a short alias for them, which is removed with it', (t) => {
    for (const kind of ['embedded', 'session'] as const) {
      const { name, state } = claimed(t, kind);
      writeFileSync(state.channelSocket, 'here');
      assert.equal(readFileSync(join(state.path, 'channel'), 'utf8'), 'here');
      assert.ok(Buffer.byteLength(state.sockets) <= 30, state.sockets);
      assert.equal(socketDirectory(state.path), state.sockets, 'who attaches finds it');
      assert.equal(lstatSync(dirname(state.sockets)).mode & 0o777, 0o711);
      assert.deepEqual(aliasesOf(name), [state.sockets]);
      releaseState(state);
      assert.deepEqual([existsSync(state.path), existsSync(dirname(state.sockets))], [false, false]);
    }
  });

  it('has the alias removed by the supervisor too', async (t) => {
    const { state } = claimed(t, 'embedded');
    const supervisor = await Supervisor.start({ directory: state.path });
    await supervisor.finish();
    assert.deepEqual([existsSync(state.path), existsSync(dirname(state.sockets))], [false, false]);
  });

  it('has the alias removed when its owner is dead and the name is claimed again', (t) => {
    const { name, state } = claimed(t, 'embedded');
    writeFileSync(join(state.path, 'owner'), '4194304 1\n');
    const again = claimState(name, 'embedded');
    t.after(() => rmSync(dirname(again.sockets), { recursive: true, force: true }));
    assert.deepEqual(aliasesOf(name), [again.sockets]);
    assert.ok(!existsSync(dirname(state.sockets)));
  });

  it('keeps an alias that leads elsewhere by now', (t) => {
    const { state } = claimed(t, 'embedded');
    const elsewhere = `${state.path.slice(0, -1)}m`;
    t.after(() => rmSync(elsewhere, { recursive: true, force: true }));
    renameSync(state.path, elsewhere);
    writeFileSync(join(elsewhere, 'owner'), '4194304 1\n');
    assert.equal(spawnSync(hostProgram('supervisor'), ['--remove-stale', elsewhere]).status, 0);
    assert.deepEqual([existsSync(elsewhere), existsSync(dirname(state.sockets))], [false, true]);
  });

  it('is refused when libvirt itself makes the name too long for any path', () => {
    assert.throws(() => claimState('\u{6f22}'.repeat(20), 'embedded'), { code: 'name-too-long' });
  });

  it('has no alias when the path is short enough', (t) => {
    const state = claimState(uniqueName(), 'session');
    t.after(() => releaseState(state));
    assert.equal(state.sockets, state.path);
  });
});

test('a name is an entry of the directory, and nothing else is removed for it', (t) => {
  const base = join(scratchDirectory(t), 'base');
  const left = join(base, 'beside', 'left');
  mkdirSync(dirname(left), { recursive: true });
  writeFileSync(left, '');
  for (const name of ['', '.', '..', 'beside/..', '../base', 'a/b', '/', 'a\0'])
    assert.throws(() => claimState(name, 'session', join(base, 'beside')), { code: 'name-invalid' }, name);
  assert.ok(existsSync(left));
});

test('a name that a dead sandbox left is claimed while others are served', async (t) => {
  const base = scratchDirectory(t);
  const path = join(base, 'left');
  mkdirSync(path);
  writeFileSync(join(path, 'owner'), '4194304 1\n');
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 0);
  const state = await claimStateMeanwhile('left', 'session', base);
  clearInterval(timer);
  assert.ok(turns > 0);
  assert.equal(readFileSync(join(path, 'owner'), 'utf8'), state.owner);
  await assert.rejects(claimStateMeanwhile('left', 'session', base), { code: 'name-in-use' });
  await assert.rejects(claimStateMeanwhile('..', 'session', base), { code: 'name-invalid' });
});
