/**
 * Names of sandboxes: generated names are unique, a name has one owner at a time and is free at once, and long paths
 * work.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { embedded, system } from '../helpers/connections.js';
import { unlessServingKernel } from '../helpers/kernels.js';
import { aliasesOf, assertNothingLeft, ROOT_STATE, uniqueName } from '../helpers/leftovers.js';
import { linkStore, OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, assertRun, runSandbox, startSandbox } from '../helpers/run.js';

for (const way of [embedded, system]) {
  describe(`names over ${way.uri}`, { skip: way.skip }, () => {
    it('two without a name run side by side', async () => {
      // Each waits until the other runs.
      const both = [1, 2].map(() =>
        startSandbox(['-c', way.uri, '--', 'sh', '-c', 'hostname || cat /proc/sys/kernel/hostname; cat'], {
          input: 'open',
        }),
      );
      const names = await Promise.all(both.map(async (running) => (await running.until(/(\S+)\n/))[1] ?? ''));
      assert.notEqual(names[0], names[1]);
      for (const { child } of both) child.stdin?.end();
      for (const { result } of both) assert.equal((await result).code, 0);
      for (const name of names) await assertNothingLeft(name, way.where);
    });

    it('a name in use is refused over every driver, its owner is unharmed, and the name is free straight after', async () => {
      const name = uniqueName();
      const args = ['-c', way.uri, '-n', name, '--'];
      const first = startSandbox([...args, 'sh', '-c', 'echo running; cat'], { input: 'open' });
      await first.until(/running/);
      for (const { uri } of [embedded, system].filter(({ skip }) => skip === false)) {
        const second = await runSandbox(['-c', uri, '-n', name, '--', 'true']);
        assertFailure(second, new RegExp(`the name ${name} is in use`), /--name/);
      }
      // One that begins alike is another.
      if (way === system)
        assertRun(await runSandbox(['-c', way.uri, '-n', `${name}-2`, '--', 'echo', 'beside']), 0, 'beside\n');
      first.child.stdin?.end('still here\n');
      assertRun(await first.result, 0, 'running\nstill here\n');
      assertRun(await runSandbox([...args, 'echo', 'again']), 0, 'again\n');
      await assertNothingLeft(name, way.where);
    });
  });
}

describe('a state directory left by a crash', { skip: embedded.skip }, () => {
  it('does not block its name', async () => {
    const name = uniqueName();
    const directory = join(ROOT_STATE, name);
    mkdirSync(directory, { recursive: true });
    // No process that started at boot has this number now.
    writeFileSync(join(directory, 'owner'), '4194304 1\n');
    writeFileSync(join(directory, 'channel'), '');
    try {
      assertRun(await runSandbox(['-c', embedded.uri, '-n', name, '--', 'echo', 'mine now']), 0, 'mine now\n');
      await assertNothingLeft(name);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe('names that are long, not ASCII, or have commas', { skip: embedded.skip, concurrency: 2 }, () => {
  // The longest name in bytes, and two that are not ASCII; the shorter of those fits the usual path.
  for (const [what, more] of [
    ["one with commas, which are doubled in QEMU's arguments", ',a,,b,'],
    ['a long one', 'n'.repeat(200)],
    ['one that is not ASCII', 'ü'],
    ['a long one that is not ASCII', 'ü'.repeat(90)],
  ] as const) {
    it(`${what} runs, can be attached to, and leaves nothing`, async () => {
      const name = (uniqueName() + more).slice(0, 200);
      const running = startSandbox(['-c', embedded.uri, '-n', name, '--shell', '--', 'sh', '-c', 'echo running; cat'], {
        input: 'open',
      });
      await running.until(/running/);
      assertRun(await runSandbox(['--attach', name, '--', '/bin/echo', 'hello']), 0, 'hello\n');
      process.kill(running.pid, 'SIGKILL');
      await running.result;
      await assertNothingLeft(name);
    });
  }
});

describe('the home of an ordinary user', { skip: unlessOrdinaryUser() || unlessServingKernel }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  for (const [what, directory, prepare] of [
    ['long', 'h'.repeat(60), linkStore],
    // Its boot image is built there, too.
    ['not ASCII', 'jö', () => {}],
  ] as const) {
    it(`may be ${what}`, async () => {
      const HOME = join(user.home, directory);
      mkdirSync(HOME);
      prepare(HOME);
      execFileSync('chown', ['-hR', `${user.uid}:${user.gid}`, HOME]);
      const name = uniqueName();
      const env = { ...user.options.env, HOME };
      const options = { ...user.options, env };
      const running = startSandbox(['-c', embedded.uri, '-n', name, '--', 'sh', '-c', 'echo running; cat'], {
        ...options,
        input: 'open',
      });
      await running.until(/running/);
      assert.equal(aliasesOf(name).length, 1);
      running.child.stdin?.end();
      assertRun(await running.result, 0, 'running\n');
      await assertNothingLeft(name, { state: user.home });
    });
  }
});
