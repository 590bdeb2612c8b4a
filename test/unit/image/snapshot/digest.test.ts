/** The digest of a sparse file: holes and zeros are equal, every other change shows. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestSparse } from '../../../../src/image/snapshot/digest.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const MIB = 1 << 20;

/** A file of `size` bytes with the given pieces, and holes or zeros between them. */
async function fileOf(
  path: string,
  size: number,
  pieces: ReadonlyMap<number, string>,
  filled: boolean,
): Promise<string> {
  writeFileSync(path, filled ? Buffer.alloc(size) : '');
  truncateSync(path, size);
  const file = await open(path, 'r+');
  for (const [position, text] of pieces) await file.write(text, position);
  await file.close();
  return digestSparse(path);
}

test('the digest of a file with holes', async (t) => {
  const directory = scratchDirectory(t);
  const size = 9 * MIB + 123;
  const pieces = new Map([
    [0, 'first'],
    [3 * MIB - 2, 'over the edge of a piece'],
    [7 * MIB + 4096, 'in the middle'],
  ]);
  const digest = (bytes: number, what: ReadonlyMap<number, string>, filled = false) =>
    fileOf(join(directory, randomUUID()), bytes, what, filled);
  const expected = await digest(size, pieces);

  await t.test('is the same if the zeros are written', async () => {
    assert.equal(await digest(size, pieces, true), expected);
  });
  await t.test('notices a changed byte', async () => {
    assert.notEqual(await digest(size, new Map([...pieces, [7 * MIB + 4096, 'im the middle']])), expected);
  });
  await t.test('notices a moved byte', async () => {
    assert.notEqual(
      await digest(size, new Map([...pieces].map(([position, text]) => [position && position + 1, text]))),
      expected,
    );
  });
  await t.test('notices data in a hole', async () => {
    assert.notEqual(await digest(size, new Map([...pieces, [size - 1, 'x']])), expected);
  });
  await t.test('notices a longer hole at the end', async () => {
    assert.notEqual(await digest(size + 1, pieces), expected);
  });
  await t.test('depends only on the size for a file without data', async () => {
    assert.equal(await digest(size, new Map()), await digest(size, new Map(), true));
    assert.notEqual(await digest(size, new Map()), await digest(0, new Map()));
  });
});
