/** How the directory of a dead sandbox goes, whatever is in it and whoever changes it meanwhile. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { valueOr } from '../../../../src/util/errors.js';
import { hostProgram } from '../../../../src/util/programs.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

/** No process has this ID: it is beyond what the kernel gives. */
const DEAD = '4194304 1';

const SUPERVISOR = hostProgram('supervisor');

/** A directory with the state directory `state` of a dead owner. */
function stateDirectory(t: TestContext): { readonly base: string; readonly path: string } {
  const base = scratchDirectory(t);
  const path = join(base, 'state');
  mkdirSync(path);
  writeFileSync(join(path, 'owner'), `${DEAD}\n`);
  return { base, path };
}

describe('what is in the state directory of a dead owner', () => {
  it('stays when it is a mount, beside a path that is free', { skip: unlessRoot('makes a mount namespace') }, (t) => {
    const { base, path } = stateDirectory(t);
    const elsewhere = scratchDirectory(t);
    writeFileSync(join(elsewhere, 'file'), '');
    mkdirSync(join(path, 'a/b'), { recursive: true });
    const mount = 'mount --bind "$1" "$2/a/b" && exec "$3" --remove-stale "$2"';
    const words = ['--mount', 'sh', '-c', mount, 'sh', elsewhere, path, SUPERVISOR];
    const { status, stderr } = spawnSync('unshare', words, { encoding: 'utf8' });
    assert.equal(status, 4);
    assert.match(stderr, /\/\.stale-\d+-\d+: .+ busy\n$/);
    assert.deepEqual(readdirSync(elsewhere), ['file']);
    assert.ok(!existsSync(path), readdirSync(base).join(' '));
  });

  it('is given rights to, and no file outside that a link leads to', {
    skip: unlessProgram('strace') || unlessRoot('gives rights that nobody has taken from root'),
  }, async (t) => {
    const { base, path } = stateDirectory(t);
    const victim = join(base, 'victim');
    mkdirSync(victim);
    chmodSync(victim, 0o511);
    mkdirSync(join(path, 'closed/inside'), { recursive: true });
    chmodSync(join(path, 'closed'), 0o500);
    // Between the look at the directory and the call that gives the rights there is time to put a link in its place.
    const calls = ['chmod', 'fchmodat', 'fchmodat2'].flatMap((call) => ['-e', `inject=${call}:delay_enter=3s`]);
    const log = join(base, 'calls');
    const remover = spawn('strace', [...calls, '-o', log, SUPERVISOR, '--remove-stale', path], { stdio: 'ignore' });
    const ended = once(remover, 'exit');
    // strace writes a call that waits when it begins.
    while (!/chmod\w*\(/.test(valueOr(() => readFileSync(log, 'utf8'), ''))) {
      assert.equal(remover.exitCode, null);
      await sleep(5);
    }
    const closed = join(base, readdirSync(base).find((name) => name.startsWith('.stale-')) ?? '', 'closed');
    renameSync(closed, join(base, 'moved'));
    symlinkSync(victim, closed);
    await ended;
    assert.equal((statSync(victim).mode & 0o777).toString(8), '511');
  });
});
