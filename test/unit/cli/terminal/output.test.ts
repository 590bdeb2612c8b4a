/** Output of the programs that cannot be written. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeArchive } from '../../../helpers/archives.js';
import { PROGRAM, type RunResult, runSandbox } from '../../../helpers/run.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** Shells that give a program its stdout. */
const FULL = ['sh', '-c', 'exec "$@" >/dev/full', 'sh'];
const READ_ONLY = ['sh', '-c', 'exec "$@" 1</dev/null', 'sh'];
const READER_GONE = ['bash', '-c', 'exec 3> >(:); wait $!; exec "$@" >&3 3>&-', 'bash'];

/** Commands of each program that print something. */
function printing(context: TestContext): [program: string, args: string[]][] {
  const directory = scratchDirectory(context);
  const initrd = join(directory, 'initrd');
  writeFileSync(initrd, makeArchive([{ name: 'file', data: 'content' }]));
  return [
    ['', ['--help']],
    ['', ['--version']],
    ['', ['--save-config', '-', '--kernver', '6.1', '--', 'true']],
    ['-bake', ['--help']],
    ['-bake', ['create', '--help']],
    ['-bake', ['ls', initrd]],
    ['-bake', ['ls', initrd, '--json']],
    ['-bake', ['cat', initrd, 'file']],
    ['-bench', ['--help']],
    ['-bench', ['--version']],
    ['-bench', ['history', '--history', join(directory, 'none')]],
  ];
}

async function each(
  context: TestContext,
  through: readonly string[],
  check: (result: RunResult, program: string) => void,
): Promise<void> {
  const env = { XDG_CACHE_HOME: scratchDirectory(context) };
  for (const [name, args] of printing(context)) {
    const program = `${PROGRAM}${name}`;
    check(await runSandbox(args, { program, through, env, timeout: 20_000 }), `virt-sandbox${name}`);
  }
}

for (const [where, through, why] of [
  ['a full disk', FULL, /: ENOSPC: .*; make room where it goes\n$/],
  ['what cannot be written to', READ_ONLY, /: EBADF: .*; send it elsewhere, with > FILE or a pipe\n$/],
] as const) {
  test(`to ${where}: one line and 125`, async (context) => {
    await each(context, through, ({ code, stderr }, program) => {
      assert.equal(code, 125, stderr);
      assert.ok(stderr.startsWith(`${program}: output: standard output cannot be written: `), stderr);
      assert.match(stderr, why);
      assert.match(stderr, /^[^\n]+\n$/);
    });
  });
}

test('to a closed pipe: the status of SIGPIPE, without a message', async (context) => {
  await each(context, READER_GONE, ({ code, stderr }) => assert.deepEqual({ code, stderr }, { code: 141, stderr: '' }));
});

test('images are removed although the output is not read', async (context) => {
  const cache = scratchDirectory(context);
  const env = { XDG_CACHE_HOME: cache };
  const ids = ['a', 'b'].map((digit) => digit.repeat(32));
  const images = ids.map((id) => join(cache, 'virt-sandbox/images', id));
  for (const image of images) mkdirSync(image, { recursive: true });
  const result = await runSandbox(['rm', ...ids], { program: `${PROGRAM}-bake`, env, through: FULL });
  assert.equal(result.code, 125);
  assert.match(result.stderr, /^virt-sandbox-bake: output: [^\n]+\n$/);
  assert.deepEqual(images.filter(existsSync), []);
});
