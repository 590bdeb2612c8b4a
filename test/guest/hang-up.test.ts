/** A terminal that hangs up ends the program that has it, as SIGHUP does, and leaves nothing. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { embedded, lxc, system, type Way } from '../helpers/connections.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';
import { AtTerminal } from '../helpers/pty.js';
import { startSandbox } from '../helpers/run.js';

const SIZE = { rows: 24, columns: 80 };

/** Where it happens in the launcher depends on the moment. */
const ROUNDS = 3;

const SCRIPTS = {
  'is silent': 'echo IN FRONT; exec sleep 1000',
  'writes without an end': 'echo IN FRONT; while :; do echo line; done',
  'ignores SIGHUP': 'trap "" HUP; echo IN FRONT; while :; do sleep 0.1; done',
};

async function assertHangsUp(t: TestContext, way: Way, args: readonly string[], until: RegExp): Promise<void> {
  const name = uniqueName();
  const terminal = new AtTerminal(['-c', way.uri, '-n', name, ...args], SIZE, way.options);
  t.after(() => terminal.close());
  await terminal.until(until);
  terminal.hangUp();
  assert.deepEqual(await terminal.exited(), { code: null, signal: 'SIGHUP' });
  await assertNothingLeft(name, exceptLogs(way.where));
}

describe('a terminal hangs up', { skip: embedded.skip, concurrency: 2 }, () => {
  for (const [what, script] of Object.entries(SCRIPTS)) {
    it(`while the command runs and ${what}`, async (t) => {
      for (let round = 0; round < ROUNDS; round += 1)
        await assertHangsUp(t, embedded, ['--', 'sh', '-c', script], /IN FRONT/);
    });
  }

  it('while the guest boots', async (t) => {
    await assertHangsUp(t, embedded, ['-d', '--boot', 'cold', '--', 'true'], /Starting domain/);
  });

  for (const way of [system, lxc]) {
    it(`while the command runs over ${way.uri}`, { skip: way.skip }, async (t) => {
      await assertHangsUp(t, way, ['--', 'sh', '-c', SCRIPTS['is silent']], /IN FRONT/);
    });
  }

  it('while a shell is attached, and the sandbox goes on', async (t) => {
    const name = uniqueName();
    const args = ['-c', embedded.uri, '-n', name, '--shell', '--', 'sh', '-c', 'echo running; read line; exit 7'];
    const running = startSandbox(args, { input: 'open' });
    await running.until(/running/);
    const terminal = new AtTerminal(['--attach', name], SIZE);
    t.after(() => terminal.close());
    await terminal.until(/# $/);
    terminal.hangUp();
    assert.deepEqual(await terminal.exited(), { code: null, signal: 'SIGHUP' });
    running.child.stdin?.write('\n');
    assert.equal((await running.result).code, 7);
    await assertNothingLeft(name);
  });
});
