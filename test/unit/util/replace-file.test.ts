/** Replacing a file as a whole, and what another process may do to it meanwhile. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { isFresh, replaceFile } from '../../../src/util/replace-file.js';
import { scratchDirectory } from '../../helpers/scratch.js';

it('a file is replaced, with the mode of a new one', async (t) => {
  const path = join(scratchDirectory(t), 'file');
  writeFileSync(path, 'old', { mode: 0o644 });
  await replaceFile(path, 'new', { mode: 0o600, flush: true });
  assert.deepEqual([readFileSync(path, 'utf8'), statSync(path).mode & 0o777], ['new', 0o600]);
});

it('nothing is left where it fails', async (t) => {
  const directory = scratchDirectory(t);
  mkdirSync(join(directory, 'folder/below'), { recursive: true });
  await assert.rejects(replaceFile(join(directory, 'folder'), 'text'), { code: 'EISDIR' });
  assert.deepEqual(readdirSync(directory), ['folder']);
});

it('a name may be the longest that there is', async (t) => {
  const path = join(scratchDirectory(t), 'ä'.repeat(127));
  await replaceFile(path, 'text');
  assert.equal(readFileSync(path, 'utf8'), 'text');
});

it('what a killed process was writing is known by its name', () => {
  assert.equal(isFresh('.kvm.json.0123456789abcdef.tmp', '/a/kvm.json'), true);
  for (const name of ['kvm.json', '.kvm.json.tmp', '.kvm.json.0123.tmp', '.other.0123456789abcdef.tmp'])
    assert.equal(isFresh(name, '/a/kvm.json'), false, name);
});

it('what killed processes have left goes with its only writer', async (t) => {
  const path = join(scratchDirectory(t), 'file');
  const left = ['.file.0123456789abcdef.tmp', '.other.0123456789abcdef.tmp'];
  for (const name of left) writeFileSync(join(dirname(path), name), 'half');
  await replaceFile(path, 'text');
  assert.deepEqual(readdirSync(dirname(path)).sort(), [...left, 'file']);
  await replaceFile(path, 'text', { isOnlyWriter: true });
  assert.deepEqual(readdirSync(dirname(path)).sort(), [left[1], 'file']);
});
