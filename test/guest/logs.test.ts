/** libvirt's log of a sandbox: removed after success, kept after a failure or when it belongs to another domain. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { lxc, system } from '../helpers/connections.js';
import { assertNothingLeft, exceptLogs, logsOf, uniqueName } from '../helpers/leftovers.js';
import { assertFailureWith, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

describe("libvirt's log", { concurrency: 2 }, () => {
  /** A name whose logs are removed after the test. */
  const nameFor = (t: TestContext, way: typeof system): string => {
    const name = uniqueName();
    t.after(() => {
      for (const path of logsOf(name, way.where)) rmSync(path);
    });
    return name;
  };

  for (const way of [system, lxc]) {
    it(`is kept for a sandbox that failed: ${way.uri}`, { skip: way.skip }, async (t) => {
      const name = nameFor(t, way);
      // A program that cannot be started is a failure of the sandbox.
      const result = await runSandbox(['-c', way.uri, '-n', name, '--', '/no/such/program'], way.options);
      assertFailureWith(127, result, /no\/such\/program/);
      assert.notDeepEqual(logsOf(name, way.where), []);
      await assertNothingLeft(name, exceptLogs(way.where));
    });

    it(`is kept for an earlier domain of that name: ${way.uri}`, { skip: way.skip }, async (t) => {
      const name = nameFor(t, way);
      const log = join(way.where.logs ?? '', `${name}.log`);
      writeFileSync(log, 'of somebody else\n', { mode: 0o600 });
      assertRun(await runSandbox(['-c', way.uri, '-n', name, '--', 'true'], way.options), 0, '');
      assert.match(readFileSync(log, 'utf8'), /^of somebody else\n/);
    });
  }

  it('is removed together with those of virtiofsd', { skip: system.skip }, async (t) => {
    const name = nameFor(t, system);
    const directories = ['one', 'two'].map((part) => join(scratchDirectory(t), part));
    for (const directory of directories) mkdirSync(directory);
    const [one, two] = directories;
    const mounts = ['-m', `host-bind:/mnt=${one}`, '-m', `host-bind:/opt=${two}`];
    const args = ['-c', system.uri, '-n', name, '-p', ...mounts, '--', 'touch', '/mnt/x', '/opt/x'];
    assertRun(await runSandbox(args), 0, '');
    await assertNothingLeft(name, system.where);
  });
});
