/** A directory that is reached without following a link, and made where it is missing. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inChain } from '../../../src/util/directory-chain.js';
import { scratchDirectory, unlessRoot } from '../../helpers/scratch.js';

const modeOf = (path: string) => statSync(path).mode & 0o7777;

test('what is missing is made for the owner alone, whatever the umask is', (t) => {
  const directory = scratchDirectory(t);
  const umask = process.umask(0o277);
  t.after(() => process.umask(umask));
  assert.equal(
    inChain(join(directory, 'a/b'), ({ isMade }) => isMade),
    true,
  );
  for (const name of ['a', 'a/b']) assert.equal(modeOf(join(directory, name)), 0o700);
  chmodSync(join(directory, 'a/b'), 0o750);
  assert.equal(
    inChain(join(directory, 'a/b'), ({ isMade, stats }) => isMade || (stats.mode & 0o7777) !== 0o750),
    false,
  );
});

test('a link is not followed, neither on the way nor at the end', (t) => {
  const directory = scratchDirectory(t);
  mkdirSync(join(directory, 'victim/deep'), { recursive: true });
  symlinkSync('victim', join(directory, 'link'));
  symlinkSync('gone', join(directory, 'dangling'));
  writeFileSync(join(directory, 'file'), '');
  for (const path of ['link', 'link/deep', 'link/new', 'dangling', 'dangling/new', 'file', 'file/new'])
    assert.throws(() => inChain(join(directory, path), () => {}), { code: 'ENOTDIR' }, path);
  assert.deepEqual(readdirSync(join(directory, 'victim')), ['deep']);
});

test('what is given away is the directory that was opened', { skip: unlessRoot('gives files away') }, (t) => {
  const directory = scratchDirectory(t);
  inChain(join(directory, 'one'), ({ give }) => give(65_534, 65_534));
  assert.equal(statSync(join(directory, 'one')).uid, 65_534);
  assert.equal(statSync(directory).uid, 0);
});
