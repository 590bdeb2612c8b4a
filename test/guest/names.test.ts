/** Names of sandboxes: unique unless given, one at a time, and free again at once. */

import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { embedded, system } from '../helpers/connections.js';
import { assertNothingLeft, ROOT_STATE, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, assertRun, runSandbox, startSandbox } from '../helpers/run.js';

for (const way of [embedded, system]) {
  describe(`names over ${way.uri}`, { skip: way.skip }, () => {
    it('two without a name run side by side', async () => {
      // Each waits for the other to be running.
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

    it('one that is in use is refused, does not harm its owner, and is free straight after', async () => {
      const name = uniqueName();
      const args = ['-c', way.uri, '-n', name, '--'];
      const first = startSandbox([...args, 'sh', '-c', 'echo running; cat'], { input: 'open' });
      await first.until(/running/);
      assertFailure(await runSandbox([...args, 'true']), new RegExp(`the name ${name} is in use`), /--name/);
      first.child.stdin?.end('still here\n');
      assertRun(await first.result, 0, 'running\nstill here\n');
      assertRun(await runSandbox([...args, 'echo', 'again']), 0, 'again\n');
      await assertNothingLeft(name, way.where);
    });
  });
}

describe('a directory that a crash has left', { skip: embedded.skip }, () => {
  it('does not keep its name', async () => {
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

describe('names over two ways at once', { skip: embedded.skip || system.skip }, () => {
  it('one that the embedded driver uses is refused by the daemon’s side too', async () => {
    const name = uniqueName();
    const first = startSandbox(['-c', embedded.uri, '-n', name, '--', 'sh', '-c', 'echo running; cat'], {
      input: 'open',
    });
    await first.until(/running/);
    assertFailure(await runSandbox(['-c', system.uri, '-n', name, '--', 'true']), new RegExp(`${name} is in use`));
    first.child.stdin?.end();
    assert.equal((await first.result).code, 0);
  });
});
