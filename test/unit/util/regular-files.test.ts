/** Reading files that somebody else may have made. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileProblem, openRegular, readRegular, UnreadableFile } from '../../../src/util/regular-files.js';
import { scratchDirectory } from '../../helpers/scratch.js';

test('a small regular file is read, and nothing else', async (t) => {
  const directory = scratchDirectory(t);
  const at = (name: string) => join(directory, name);
  writeFileSync(at('file'), 'text');
  assert.equal(readRegular(at('file'), 4), 'text');
  await (await openRegular(at('file'))).close();
  symlinkSync('file', at('link'));
  execFileSync('mkfifo', [at('fifo')]);
  mkdirSync(at('directory'));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(at('socket'), resolve));
  t.after(() => server.close());
  for (const [path, problem] of [
    [at('link'), 'is a symbolic link'],
    [at('fifo'), 'is not a regular file'],
    [at('directory'), 'is not a regular file'],
    [at('socket'), 'is not a regular file'],
    ['/dev/zero', 'is not a regular file'],
    [at('missing'), 'is missing'],
    [at('file/below'), 'is missing'],
  ] as const) {
    assert.throws(
      () => readRegular(path, 100),
      (error) => fileProblem(error) === problem,
      path,
    );
    await assert.rejects(openRegular(path), (error) => fileProblem(error) === problem, path);
  }
  assert.equal(fileProblem(new Error('something else')), undefined);
});

test('a file that is too large is not read', (t) => {
  const path = join(scratchDirectory(t), 'file');
  writeFileSync(path, '12345');
  assert.throws(() => readRegular(path, 4), UnreadableFile);
  truncateSync(path, 2 ** 40);
  assert.throws(() => readRegular(path, 2 ** 20), /is larger than 1048576 bytes/);
});
