/** Programs that start from V8's code cache. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Script } from 'node:vm';
import { cacheOf, wrapped } from '../../../src/cli/compiled.js';
import { REPOSITORY } from '../../helpers/run.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const DIST = join(REPOSITORY, 'dist');

for (const program of [
  'virt-sandbox',
  'virt-sandbox-bake',
  'virt-sandbox-bench',
  'virt-sandbox-ctl',
  'virt-sandbox-image',
])
  test(`V8 accepts the code cache of ${program}`, () => {
    const filename = join(DIST, `${program}.cjs`);
    const cachedData = readFileSync(cacheOf(filename));
    const source = readFileSync(filename, 'utf8');
    const script = new Script(wrapped(source), { filename, cachedData });
    assert.equal(script.cachedDataRejected, false);
    assert.deepEqual(source.match(/\bimport\(.{0,20}/g), null);
  });

// Node.js 20.19.0 accepted the code of 20.20.2 as its own, and failed with "join is not a function" or a crash.
test('a code cache is for one version of Node.js', () => {
  assert.equal(cacheOf('a.cjs'), `a.cjs.${process.version}-${process.arch}.v8`);
});

for (const [what, code] of [
  ['none', undefined],
  ['that of another V8', Buffer.alloc(64, 1)],
  ['an empty file', Buffer.alloc(0)],
] as const)
  test(`a program runs where its code is ${what}`, (t) => {
    const directory = scratchDirectory(t);
    for (const name of ['compiled.cjs', 'virt-sandbox.cjs']) copyFileSync(join(DIST, name), join(directory, name));
    const cache = cacheOf(join(directory, 'virt-sandbox.cjs'));
    if (code !== undefined) writeFileSync(cache, code);
    assert.equal(existsSync(cache), code !== undefined);
    const start = join(directory, 'start.cjs');
    writeFileSync(start, "require('./compiled.cjs').runCompiled('virt-sandbox');\n");
    const version = execFileSync(process.execPath, [start, '--version'], { encoding: 'utf8' });
    assert.match(version, /^virt-sandbox version /);
  });
