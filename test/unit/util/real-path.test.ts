/** Where a path leads to in a directory that is the root for it. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { realPathIn } from '../../../src/util/real-path.js';
import { scratchDirectory } from '../../helpers/scratch.js';

test('links are followed in the root, and what is missing keeps its name', (t) => {
  const root = scratchDirectory(t);
  mkdirSync(join(root, 'data/deep'), { recursive: true });
  for (const [target, link] of [
    ['/data/deep', 'absolute'],
    ['data', 'relative'],
    ['../../../../data', 'data/up'],
    ['loop', 'loop'],
    ['/gone/away', 'dangling'],
  ] as const)
    symlinkSync(target, join(root, link));
  for (const [path, real] of [
    ['/absolute/x', '/data/deep/x'],
    ['//relative/./deep/', '/data/deep'],
    ['/absolute/..', '/data'],
    ['/relative/up/deep', '/data/deep'],
    ['/missing/x', '/missing/x'],
    ['/dangling/x', '/gone/away/x'],
    ['/../..', '/'],
    ['/loop/x', undefined],
  ] as const)
    assert.equal(realPathIn(root, path), real, path);
});
