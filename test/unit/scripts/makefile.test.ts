/** What the Makefile promises of the order of its parts, with stand-ins for them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { REPOSITORY } from '../../helpers/run.js';
import { scratchDirectory } from '../../helpers/scratch.js';

describe('the Makefile', () => {
  for (const [goal, set] of [
    ['run', 'run'],
    ['unit', 'test'],
    ['test', 'test'],
    ['bench', 'bench'],
    ['soak', 'test'],
  ] as const) {
    it(`sets up before it builds, with several jobs as well: ${goal}`, (t) => {
      const directory = scratchDirectory(t);
      const log = join(directory, 'log');
      const program = (path: string, script: string) =>
        writeFileSync(join(directory, path), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      cpSync(join(REPOSITORY, 'Makefile'), join(directory, 'Makefile'));
      for (const name of ['package.json', 'package-lock.json', '.npmrc']) writeFileSync(join(directory, name), '');
      mkdirSync(join(directory, 'scripts'));
      // A part that does not wait for it would come in between.
      program('scripts/setup', `echo setup "$@" >> ${log}; sleep 0.5; echo ready >> ${log}`);
      // It fails, which ends the make: the rest does not matter here.
      program('npm', `echo npm >> ${log}; exit 1`);
      // Not as a part of the make that runs this test.
      const { MAKEFLAGS: _flags, MAKELEVEL: _level, ...env } = process.env;
      const { status } = spawnSync('make', ['-j8', goal], {
        cwd: directory,
        env: { ...env, PATH: `${directory}:${env['PATH']}` },
      });
      assert.equal(status, 2);
      assert.equal(readFileSync(log, 'utf8'), `setup ${set}\nready\nnpm\n`);
    });
  }
});
