/** scripts/check-subjects passes `area: subject` of at most 72 columns, and nothing else. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { REPOSITORY } from '../../helpers/run.js';
import { scratchDirectory } from '../../helpers/scratch.js';

test('the subjects of commits', (t) => {
  const cwd = scratchDirectory(t);
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
  const git = (...args: readonly string[]) => execFileSync('git', [...who, ...args], { cwd, encoding: 'utf8' }).trim();
  const check = (range: string) =>
    spawnSync(join(REPOSITORY, 'scripts/check-subjects'), [range], { cwd, encoding: 'utf8' });
  /** Those that fail, of commits with these subjects. */
  const refused = (...subjects: readonly string[]) => {
    const before = git('rev-parse', 'HEAD');
    for (const subject of subjects) git('commit', '-q', '--allow-empty', '-m', subject);
    const { status, stderr } = check(`${before}..HEAD`);
    assert.equal(status, stderr === '' ? 0 : 1);
    return subjects.filter((subject) => stderr.includes(subject));
  };
  git('init', '-q');
  git('commit', '-q', '--allow-empty', '-m', 'Before the range');

  const columns72 = `domain: ${'ä'.repeat(64)}`;
  assert.deepEqual(refused('config: read a port', 'init/native: reap in the loop', 'src,test: rename', columns72), []);
  const bad = ['Read a port', 'config:read a port', 'Config: read a port', `${columns72}x`];
  assert.deepEqual(refused('config: read a port', ...bad), bad);
  assert.deepEqual(refused(), []);
  assert.equal(check('nothing..HEAD').status, 128);
});
