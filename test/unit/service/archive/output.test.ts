/** The file of an archive is there as a whole or not at all, for its owner alone. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { writeArchiveFile } from '../../../../src/service/archive/output.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

describe('writeArchiveFile', () => {
  it('replaces a file when all is written', async (t) => {
    const directory = scratchDirectory(t);
    const path = join(directory, 'web.tar');
    writeFileSync(path, 'old', { mode: 0o644 });
    await writeArchiveFile(path, async (write) => {
      await write(Buffer.from('ne'));
      assert.equal(readFileSync(path, 'utf8'), 'old');
      await write(Buffer.from('w'));
    });
    assert.equal(readFileSync(path, 'utf8'), 'new');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(directory), ['web.tar']);
  });

  it('leaves what was there if it fails', async (t) => {
    const directory = scratchDirectory(t);
    const path = join(directory, 'web.tar');
    const fails = async () => {
      throw new Error('it fails');
    };
    await assert.rejects(writeArchiveFile(path, fails), /it fails/);
    assert.deepEqual(readdirSync(directory), []);
    writeFileSync(path, 'old');
    await assert.rejects(writeArchiveFile(path, fails), /it fails/);
    assert.deepEqual([readFileSync(path, 'utf8'), readdirSync(directory)], ['old', ['web.tar']]);
  });

  it('takes the place of nothing but a file', async (t) => {
    const directory = scratchDirectory(t);
    mkdirSync(join(directory, 'd'));
    writeFileSync(join(directory, 'file'), 'old');
    symlinkSync('file', join(directory, 'link'));
    for (const path of ['/dev/null', join(directory, 'd'), join(directory, 'link'), join(directory, 'none/a')])
      await assert.rejects(
        writeArchiveFile(path, async () => {}),
        { code: 'service-archive-not-written' },
      );
    assert.deepEqual(readdirSync(directory).sort(), ['d', 'file', 'link']);
  });

  it('removes what an export to the same file has left that was killed, and no other', async (t) => {
    const directory = scratchDirectory(t);
    const path = join(directory, 'web.tar');
    const left = `.web.tar.${'0'.repeat(16)}.tmp`;
    const others = [`.web.${'0'.repeat(16)}.tmp`, `.web.tar.tar.${'0'.repeat(16)}.tmp`, '.web.tar.x.tmp'];
    for (const name of [left, ...others]) writeFileSync(join(directory, name), 'secret');
    symlinkSync('web.tar', join(directory, `.web.tar.${'1'.repeat(16)}.tmp`));
    await writeArchiveFile(path, async (write) => {
      await write(Buffer.from('first'));
      // Two write it at the same time.
      await writeArchiveFile(path, (second) => second(Buffer.from('second')));
      assert.equal(readFileSync(path, 'utf8'), 'second');
    });
    assert.equal(readFileSync(path, 'utf8'), 'first');
    assert.deepEqual(readdirSync(directory).sort(), [...others, `.web.tar.${'1'.repeat(16)}.tmp`, 'web.tar'].sort());
  });
});
