/** A file with holes that is copied to where there is no room for all of it. */
import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { copyContent } from '../../../../src/service/content/copy-file.js';
import { FullDisk } from '../../../helpers/full-disk.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

describe('a copy of a file with holes', { skip: unlessRoot('mounts') }, () => {
  it('is none if only a part of its data has room', async (t) => {
    const disk = new FullDisk(t, 'size=64k');
    const from = join(scratchDirectory(t, WITH_ATTRIBUTES), 'file');
    writeFileSync(from, Buffer.alloc(100_000, 'x'));
    truncateSync(from, 1 << 20);
    const to = Buffer.from(join(disk.path, 'file'));
    const options = { check: () => {}, listOf: () => undefined };
    await assert.rejects(copyContent(Buffer.from(from), to, options), { code: 'ENOSPC' });
  });
});
