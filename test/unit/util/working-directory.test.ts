/** Programs started in a directory that has been removed. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeArchive } from '../../helpers/archives.js';
import { runBake } from '../../helpers/bake.js';
import { PROGRAM, type RunResult, runSandbox } from '../../helpers/run.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const GONE = ['sh', '-c', 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', 'sh'];

function gone(context: TestContext) {
  return { cwd: scratchDirectory(context), through: GONE };
}

function assertGone({ code, out, stderr }: RunResult, path: string): void {
  const line = `: config: the working directory is gone (ENOENT), and "${path}" is relative to it; change to another `;
  assert.ok(stderr.includes(line), stderr);
  assert.match(stderr, /^[^\n]+\n$/);
  assert.deepEqual({ code, out }, { code: 125, out: '' });
}

test('a relative path is refused in one line', async (context) => {
  const options = gone(context);
  for (const [args, path] of [
    [['-r', '.'], '.'],
    [['-m', 'host-bind:/mnt=a'], 'a'],
    [['--disk', 'file:a=x'], 'x'],
    [['--kernpath', 'x'], 'x'],
  ] as const)
    assertGone(await runSandbox([...args, '--', 'true'], options), path);
  const cache = scratchDirectory(context);
  const initrd = join(cache, 'initrd');
  writeFileSync(initrd, makeArchive([{ name: 'file', data: 'x' }]));
  for (const [args, path] of [
    [['create', '--kernpath', 'x'], 'x'],
    [['ls', './x'], './x'],
    [['unpack', initrd, 'x'], 'x'],
  ] as const)
    assertGone(await runBake(cache, args, options), path);
});

test('programs without relative paths still work', async (context) => {
  const options = gone(context);
  const cache = scratchDirectory(context);
  const initrd = join(cache, 'initrd');
  writeFileSync(initrd, makeArchive([{ name: 'file', data: 'content' }]));
  assert.equal((await runBake(cache, ['cat', initrd, 'file'], options)).out, 'content');
  assert.match((await runBake(cache, ['list'], options)).stderr, /^virt-sandbox-bake: there is no image in /);
  assert.match((await runBake(cache, ['show', 'web'], options)).stderr, /there is no image web in /);
  assert.match((await runSandbox(['--help'], options)).out, /^Usage: /);
  assert.match((await runSandbox(['--help'], { ...options, program: `${PROGRAM}-bench` })).out, /^Usage: /);
});
