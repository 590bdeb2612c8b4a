/** The build of a native program: static and small, or it fails, because the guest has no shared libraries. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { REPOSITORY } from '../../../helpers/run.js';
import { freshDirectory } from '../../../helpers/scratch.js';

describe('the build of a native program', () => {
  // One directory for all tests, so that C is compiled once.
  const out = freshDirectory();
  after(() => rmSync(out, { recursive: true, force: true }));
  const program = join(out, 'init');

  /** Links the init again with these variables instead of the Makefile's. */
  function build(...variables: readonly string[]) {
    rmSync(program, { force: true });
    // Independent of the make that may run this test.
    const { MAKEFLAGS: _flags, MAKELEVEL: _level, ...env } = process.env;
    const args = ['--silent', '-C', join(REPOSITORY, 'init/native'), `OUT=${out}`, ...variables];
    const { status, stderr } = spawnSync('make', args, { encoding: 'utf8', env });
    return { built: status === 0, stderr, there: existsSync(program), part: existsSync(`${program}.part`) };
  }

  it('succeeds for a static program', () => {
    assert.deepEqual(build(), { built: true, stderr: '', there: true, part: false });
  });

  for (const [name, variable, message] of [
    ['is linked with shared libraries', 'STATIC_LDFLAGS=', /init: not static; install musl-tools/],
    ['is too large', 'MAX_SIZE=1000', /init: \d+ bytes, more than 1000; install musl-tools/],
    ['cannot be looked into', 'READELF=false', /init: not static/],
    ['is looked into by a program that says nothing of it', 'READELF=true', /init: not static/],
  ] as const) {
    it(`fails and leaves no program when it ${name}`, () => {
      const { stderr, ...result } = build(variable);
      assert.deepEqual(result, { built: false, there: false, part: false });
      assert.match(stderr, message);
    });
  }
});
