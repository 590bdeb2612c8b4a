/** scripts/test.mjs, as root, fails instead of skipping tests that it cannot run. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { mounted, programPaths } from '../../helpers/hide.js';
import { REPOSITORY } from '../../helpers/run.js';
import { unlessRoot } from '../../helpers/scratch.js';

test('a libvirtd that cannot be started is a failure', { skip: unlessRoot('starts libvirtd') }, () => {
  const hide = programPaths('libvirtd').map((path) => `mount --bind /dev/null ${path}`);
  const through = mounted(['mount -t tmpfs none /run', 'mkdir /run/libvirt', ...hide].join('\n'));
  const [program = '', ...args] = [...through, process.execPath, 'scripts/test.mjs', 'guest/kernels-chosen'];
  // Independent of the running tests.
  const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: REPOSITORY,
    env,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(stdout, '');
  assert.match(stderr, /^test: no libvirtd for qemu:\/\/\/system can be started: tini -s -- libvirtd ended: /m);
  assert.equal(status, 1);
});
