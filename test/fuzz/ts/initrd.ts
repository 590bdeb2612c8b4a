/** Whole initrds: archives one after the other, each packed in any format, and no more of them than the limit. */
import assert from 'node:assert/strict';
import { readArchives } from '../../../src/image/archive/read.js';
import { ArchiveError } from '../../../src/image/archive/types.js';
import { SandboxError } from '../../../src/util/errors.js';
import { settledOrRefused } from './support/expect.js';
import type { Target } from './support/target.js';

/** Bytes that may come out. */
const LIMIT = 1 << 20;

export const target: Target = {
  kind: 'async',
  mostBytes: 2048,
  quickRuns: 3000,
  repeats: true,
  async read(data) {
    const archives = await settledOrRefused(readArchives(data, LIMIT), ArchiveError, SandboxError);
    if (archives === undefined) return;
    assert.notEqual(archives.length, 0);
    const entries = archives.flatMap((archive) => (archive.compression === 'none' ? [] : archive.entries));
    const size = entries.reduce((sum, entry) => sum + entry.data.length, 0);
    assert.ok(size <= LIMIT, `${size} bytes came out, and ${LIMIT} may`);
  },
};
