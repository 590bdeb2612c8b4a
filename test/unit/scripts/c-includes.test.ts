/** scripts/check-c-includes.mjs, on C programs made here. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { REPOSITORY } from '../../helpers/run.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const LAYERS = { program: { low: [], high: ['low'], '.': ['high', 'low'] } };

/** Writes the files, each a list of what it includes, and checks them. */
function check(t: TestContext, files: Record<string, readonly string[]>, layers: unknown = LAYERS) {
  const directory = scratchDirectory(t);
  writeFileSync(join(directory, 'layers.json'), JSON.stringify(layers));
  mkdirSync(join(directory, 'program'));
  for (const [path, includes] of Object.entries(files)) {
    const file = join(directory, 'program', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, ['#include <stdio.h>', ...includes.map((name) => `#include "${name}"`), ''].join('\n'));
  }
  const { status, stderr } = spawnSync(process.execPath, [`${REPOSITORY}scripts/check-c-includes.mjs`, directory], {
    encoding: 'utf8',
  });
  return { status, stderr: stderr.replaceAll(`${directory}/`, '') };
}

describe('the check of C includes', () => {
  it('passes arrows that point down', (t) => {
    const files = { 'main.c': ['high/b.h'], 'high/b.h': [], 'high/b.c': ['high/b.h', 'low/a.h'], 'low/a.h': [] };
    assert.deepEqual(check(t, files), { status: 0, stderr: '' });
  });

  it('prints a circle between files of one folder, a header and its C file as one', (t) => {
    const { status, stderr } = check(t, { 'low/a.h': [], 'low/a.c': ['low/b.h'], 'low/b.h': ['low/a.h'] });
    assert.equal(status, 1);
    assert.equal(
      stderr,
      'program: a circle of files: low/a -> low/b -> low/a\n' +
        '  program/low/a.c:2 includes low/b.h\n  program/low/b.h:2 includes low/a.h\n',
    );
  });

  it('refuses an arrow upwards', (t) => {
    const { status, stderr } = check(t, { 'low/a.c': ['high/b.h'], 'high/b.h': [] });
    assert.equal(status, 1);
    assert.match(stderr, /^program\/low\/a\.c:2: low must not include high\/b\.h/);
  });

  it('refuses folders and files that it does not know', (t) => {
    const { status, stderr } = check(t, { 'other/a.c': ['low/b.h', 'missing.h'], 'low/b.h': [] });
    assert.equal(status, 1);
    assert.match(stderr, /^program\/other\/a\.c:2: layers\.json has no folder other of program$/m);
    assert.match(stderr, /^program\/other\/a\.c:3: no file missing\.h in program/m);
    assert.match(check(t, { 'a.c': [] }, {}).stderr, /^program: layers\.json has no such program$/m);
  });

  it('knows the folder of what programs share, for those that layers.json lets in', (t) => {
    const layers = { program: { low: ['shared'], high: ['low'], '.': ['high'] } };
    const shared = { '../shared/s.h': [], '../shared/s.c': ['s.h'] };
    const allowed = { ...shared, 'low/a.c': ['shared/s.h'] };
    assert.deepEqual(check(t, allowed, { ...layers, shared: { '.': [] } }), { status: 0, stderr: '' });
    const files = { ...shared, 'low/a.c': ['shared/missing.h'], 'high/b.c': ['shared/s.h'] };
    const { status, stderr } = check(t, files, { ...layers, shared: { '.': [] } });
    assert.equal(status, 1);
    assert.match(stderr, /^program\/low\/a\.c:2: no file shared\/missing\.h/m);
    assert.match(stderr, /^program\/high\/b\.c:2: high must not include shared\/s\.h/m);
  });

  it('refuses layers that allow a circle of folders', (t) => {
    const { status, stderr } = check(t, {}, { program: { low: ['high'], high: ['low'] } });
    assert.equal(status, 1);
    assert.match(stderr, /circle of folders of program: low -> high -> low/);
  });
});
