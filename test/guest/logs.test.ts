/** libvirt's log of a sandbox: it goes when all went well, and stays where it may say what did not, or is somebody else's. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { lxc, system } from '../helpers/connections.js';
import { assertNothingLeft, butForLogs, logsOf, uniqueName } from '../helpers/leftovers.js';
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
    it(`of a sandbox that failed stays: ${way.uri}`, { skip: way.skip }, async (t) => {
      const name = nameFor(t, way);
      // A program that cannot be started is an end before all that is clean about one.
      const result = await runSandbox(['-c', way.uri, '-n', name, '--', '/no/such/program'], way.options);
      assertFailureWith(127, result, /no\/such\/program/);
      assert.notDeepEqual(logsOf(name, way.where), []);
      await assertNothingLeft(name, butForLogs(way.where));
    });

    it(`of an earlier domain of that name stays: ${way.uri}`, { skip: way.skip }, async (t) => {
      const name = nameFor(t, way);
      const log = join(way.where.logs ?? '', `${name}.log`);
      writeFileSync(log, 'of somebody else\n', { mode: 0o600 });
      assertRun(await runSandbox(['-c', way.uri, '-n', name, '--', 'true'], way.options), 0, '');
      assert.match(readFileSync(log, 'utf8'), /^of somebody else\n/);
    });
  }

  it('goes with those of virtiofsd', { skip: system.skip }, async (t) => {
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
