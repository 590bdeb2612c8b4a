/** Images that are compared although they are damaged, or none at all. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Turns } from '../../../../src/oci/cancel.js';
import { ErofsError } from '../../../../src/oci/erofs/reader.js';
import { differencesOf } from '../../../../src/oci/layers/erofs-differences.js';
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
    await assert.rejects(differencesOf(paths[0], paths[1]), ErofsError);
    await assert.rejects(differencesOf(write(context, await mergedImage([])), paths[1]), ErofsError);
  });

  it('is seen where a directory has two names', async (context) => {
    const good = await mergedImage(directories('x', 'y'));
    const damaged = Buffer.from(good);
    const root = damaged.readUInt16LE(ROOT);
    damaged.writeUInt32LE(damaged.readUInt32LE(entryOf(damaged, root, 'x')), entryOf(damaged, root, 'y'));
    await assert.rejects(differencesOf(write(context, good), write(context, damaged)), ErofsError);
  });

  it('is not one whose directories are as deep as a path may be', async (context) => {
    const deep = await mergedImage(directories('a/'.repeat(2047).slice(0, -1)));
    const found = await differencesOf(write(context, await mergedImage([])), write(context, deep));
    assert.equal(found.length, 2047);
  });
});

describe('an image that is none', () => {
  /** Where the inode of a directory of the root begins, and its only entry behind `.` and `..`. */
  const directoryOf = (image: Buffer) => {
    const number = image.readUInt32LE(entryOf(image, image.readUInt16LE(ROOT), 'd'));
    return { number, at: number * 32, entry: entryOf(image, number, 'name') };
  };
  const fileOf = (image: Buffer) => 32 * image.readUInt32LE(directoryOf(image).entry);
  for (const [what, change] of [
    ['another magic', (image) => image.writeUInt8(0, 1024)],
    ['larger blocks', (image) => image.writeUInt8(28, 1036)],
    ['blocks of 2^44 bytes', (image) => image.writeUInt8(44, 1036)],
    ['packed content', (image) => image.writeUInt32LE(2, 1024 + 80)],
    ['content in chunks', (image) => image.writeUInt32LE(4, 1024 + 80)],
    ['larger blocks of directories', (image) => image.writeUInt8(1, 1024 + 90)],
    ['an inode of another format', (image) => image.writeUInt16LE(5 | 16, fileOf(image))],
    ['an inode that is packed', (image) => image.writeUInt16LE(1 | (1 << 1), fileOf(image))],
    ['a file of 2^60 bytes', (image) => image.writeBigUInt64LE(2n ** 60n, fileOf(image) + 8)],
    ['a tail that leaves its block', (image) => image.writeBigUInt64LE(4095n, fileOf(image) + 8)],
    ['a name with a slash', (image) => image.write('/', namesAt(image) + 1)],
    ['a name with a zero', (image) => image.write('\0', namesAt(image))],
    ['a name that is empty', (image) => move(image, (_from, next) => [next, next])],
    ['a name that begins behind its end', (image) => move(image, (_from, next) => [next + 1, next])],
    ['a name in the table of names', (image) => move(image, (_from, next) => [8, next])],
    ['a name that ends behind its block', (image) => move(image, (from) => [from, 4000])],
  ] as const satisfies readonly (readonly [string, (image: Buffer) => void])[])
    it(`is one with ${what}`, async (context) => {
      const image = await mergedImage([{ name: 'd/name', data: 'x' }, { name: 'd/other' }]);
      const good = write(context, image);
      assert.deepEqual(await differencesOf(good, good), []);
      const damaged = Buffer.from(image);
      change(damaged);
      await assert.rejects(differencesOf(write(context, damaged), write(context, damaged)), ErofsError);
    });

  /** Where the name of the file begins. */
  function namesAt(image: Buffer): number {
    const { at, entry } = directoryOf(image);
    return at + 64 + image.readUInt16LE(entry + 8);
  }

  /** Changes where the name begins, and where the next one does. */
  function move(image: Buffer, to: (from: number, next: number) => readonly [number, number]): void {
    const { entry } = directoryOf(image);
    const [from, next] = to(image.readUInt16LE(entry + 8), image.readUInt16LE(entry + 20));
    image.writeUInt16LE(from, entry + 8);
    image.writeUInt16LE(next, entry + 20);
  }
});

describe('work that waits for nothing', () => {
  it('is cancelled between two turns', async () => {
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    const turns = new Turns(10, controller.signal);
    const endless = async () => {
      for (;;) if (turns.isOver()) await turns.give();
    };
    await rejectsWith(endless(), 'aborted');
  });
});
