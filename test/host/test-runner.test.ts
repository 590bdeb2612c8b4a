/** scripts/test.mjs fails as root if it cannot start what the tests need. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { mounted, programPaths } from '../helpers/hide.js';
import { REPOSITORY } from '../helpers/run.js';
import { unlessRoot } from '../helpers/scratch.js';

test('where libvirtd cannot be started, that is a failure', { skip: unlessRoot('starts libvirtd') }, () => {
  const hide = programPaths('libvirtd').map((path) => `mount --bind /dev/null ${path}`);
  const through = mounted(['mount -t tmpfs none /run', 'mkdir /run/libvirt', ...hide].join('\n'));
  const [program = '', ...args] = [...through, process.execPath, 'scripts/test.mjs', 'guest/kernels-chosen'];
  // Not as a part of the tests that run, nor beside their daemons.
  const { NODE_TEST_CONTEXT: _context, VIRT_SANDBOX_TEST_HIDDEN: _hidden, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: REPOSITORY,
    env,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(stdout, '');
  assert.match(stderr, /^test: no libvirtd for qemu:\/\/\/system can be started: tini -s -- .*libvirtd .* ended: /m);
  assert.equal(status, 1);
});
