/** Images that are compared although they are damaged: there is an end to it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Turns } from '../../../../src/oci/cancel.js';
import { differencesOf } from '../../../../src/oci/layers/erofs-differences.js';
import { ImageDamage } from '../../../../src/oci/layers/image-bytes.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { mergedImage } from '../../../helpers/oci/layers.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const directories = (...names: readonly string[]) => names.map((name) => ({ name, type: '5' }));

/** Where an image has the root's number. */
const ROOT = 1038;

/** Where an image has an entry of a directory that is small, without attributes. */
function entryOf(image: Buffer, directory: number, name: string): number {
  const start = directory * 32 + 64;
  const size = image.readUInt32LE(directory * 32 + 8);
  for (let at = start; at < start + image.readUInt16LE(start + 8); at += 12) {
    const from = image.readUInt16LE(at + 8);
    if (image.toString('latin1', start + from, start + Math.min(from + name.length, size)) === name) return at;
  }
  throw new Error(`there is no ${name}`);
}

function write(context: TestContext, image: Buffer): string {
  const path = join(scratchDirectory(context), 'image');
  writeFileSync(path, image);
  return path;
}

describe('an image that is damaged', () => {
  it('has an end although a directory is in itself, twice', async (context) => {
    const good = await mergedImage(directories('x', 'x/a', 'x/b'));
    const looped = Buffer.from(good);
    const x = looped.readUInt32LE(entryOf(looped, looped.readUInt16LE(ROOT), 'x'));
    for (const name of ['a', 'b']) looped.writeUInt32LE(x, entryOf(looped, x, name));
    const paths = [write(context, good), write(context, looped)] as const;
    await assert.rejects(differencesOf(paths[0], paths[1]), ImageDamage);
    await assert.rejects(differencesOf(write(context, await mergedImage([])), paths[1]), ImageDamage);
  });

  it('is seen where a directory has two names', async (context) => {
    const good = await mergedImage(directories('x', 'y'));
    const damaged = Buffer.from(good);
    const root = damaged.readUInt16LE(ROOT);
    damaged.writeUInt32LE(damaged.readUInt32LE(entryOf(damaged, root, 'x')), entryOf(damaged, root, 'y'));
    await assert.rejects(differencesOf(write(context, good), write(context, damaged)), ImageDamage);
  });

  it('is not one whose directories are as deep as a path may be', async (context) => {
    const deep = await mergedImage(directories('a/'.repeat(2047).slice(0, -1)));
    const found = await differencesOf(write(context, await mergedImage([])), write(context, deep));
    assert.equal(found.length, 2047);
  });
});

describe('work that waits for nothing', () => {
  it('is called off between two turns', async () => {
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    const turns = new Turns(10, controller.signal);
    const endless = async () => {
      for (;;) if (turns.isOver()) await turns.give();
    };
    await rejectsWith(endless(), 'aborted');
  });
});
