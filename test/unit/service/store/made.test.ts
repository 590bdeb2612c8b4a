/** What was made for a service, and goes with it. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, renameSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { MadeRecord, readMade, removeMade } from '../../../../src/service/store/made.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

/** More directories in one another than a path can have names. */
const DEPTH = 3000;

/** Directories that are made until one has a number that is free again. */
const MOST_OTHERS = 100;

/** A directory that is on record. */
async function madeDirectory(context: TestContext) {
  const directory = scratchDirectory(context, WITH_ATTRIBUTES);
  const path = join(directory, 'state');
  await new MadeRecord(directory).directory(path);
  return { path, remove: () => removeMade(readMade(directory)) };
}

/** As a guest does it, in its own directory. */
function makeDeep(path: string): void {
  const before = process.cwd();
  process.chdir(path);
  try {
    for (let depth = 0; depth < DEPTH; depth += 1) {
      mkdirSync('deep');
      process.chdir('deep');
    }
    writeFileSync('file', 'content');
  } finally {
    process.chdir(before);
  }
}

/** @returns false: no new directory has that number */
function makeWithInode(path: string, inode: number): boolean {
  for (let others = 0; others < MOST_OTHERS; others += 1) {
    const other = `${path}-${others}`;
    mkdirSync(other);
    if (lstatSync(other).ino !== inode) continue;
    renameSync(other, path);
    return true;
  }
  return false;
}

describe('removeMade', () => {
  it('passes over a path that is too long for anything to be there', () => {
    for (const isUnique of [true, false])
      assert.deepEqual(removeMade([{ kind: 'file', path: `/tmp/${'a'.repeat(300)}`, inodes: [], isUnique }]), []);
  });

  it('removes directories that are deeper than any path', async (context) => {
    const { path, remove } = await madeDirectory(context);
    makeDeep(path);
    assert.deepEqual(remove(), []);
    assert.ok(!existsSync(path));
  });

  it('keeps another directory that has the same inode number', async (context) => {
    const { path, remove } = await madeDirectory(context);
    const { ino } = lstatSync(path);
    rmdirSync(path);
    if (!makeWithInode(path, ino)) return context.skip('this file system gives no number a second time');
    writeFileSync(join(path, 'file'), "somebody's");
    assert.deepEqual(remove(), [path]);
    assert.ok(existsSync(join(path, 'file')));
  });
});
