/** What is read of an EROFS image as mkfs.erofs writes it, as a store may still have them, and of what is no image. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ErofsError, ErofsReader } from '../../../../src/oci/erofs/reader.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

/** A tree, and an image of it. */
function made(context: TestContext): { readonly tree: string; readonly image: string } {
  const directory = scratchDirectory(context);
  const [tree, image] = [join(directory, 'tree'), join(directory, 'image')];
  for (const name of ['', 'many', 'empty']) mkdirSync(join(tree, name));
  for (let at = 0; at < 1000; at += 1) writeFileSync(join(tree, 'many', `a file with a long name, ${at}`), `${at}`);
  writeFileSync(join(tree, 'large'), 'x'.repeat(10_000));
  writeFileSync(join(tree, 'old'), 'old');
  utimesSync(join(tree, 'old'), 1_000_000_000.25, 1_000_000_000.25);
  chownSync(join(tree, 'old'), 5_000_000, 70_000);
  symlinkSync('a/way/that/is/long/'.repeat(20), join(tree, 'link'));
  execFileSync('mknod', [join(tree, 'device'), 'c', '10', '300']);
  execFileSync('mkfs.erofs', ['--quiet', '-T0', '--mkfs-time', '--preserve-mtime', image, tree], { stdio: 'pipe' });
  return { tree, image };
}

function assertSame(image: ErofsReader, number: number, path: string): void {
  const inode = image.inode(number);
  const { mode, uid, gid, size, mtimeNs, device } = inode;
  const found = lstatSync(path, { bigint: true });
  assert.deepEqual(
    [mode, uid, gid, device],
    [found.mode, found.uid, found.gid, found.isCharacterDevice() ? found.rdev : 0].map(Number),
  );
  assert.equal(mtimeNs, found.mtimeNs, path);
  if (found.isSymbolicLink()) assert.equal(image.target(inode), readlinkSync(path));
  else assert.throws(() => image.target(inode), ErofsError);
  if (found.isFile()) {
    assert.equal(size, Number(found.size));
    assert.deepEqual(Buffer.concat([...image.data(inode)]), readFileSync(path));
  }
  if (!found.isDirectory()) {
    assert.throws(() => [...image.entries(inode)], ErofsError);
    return;
  }
  const entries = new Map(image.entries(inode));
  assert.deepEqual([...entries.keys()].sort(), readdirSync(path).sort());
  for (const [name, child] of entries) assertSame(image, child, join(path, name));
}

describe('an EROFS image', { skip: unlessRoot('it changes owners') || unlessProgram('mkfs.erofs') }, () => {
  it('has what its tree has', (context) => {
    const { tree, image } = made(context);
    const opened = new ErofsReader(image);
    try {
      assertSame(opened, opened.root, tree);
    } finally {
      opened.close();
    }
  });

  it('that is damaged is read no further', (context) => {
    const { image } = made(context);
    const whole = readFileSync(image);
    const walk = () => {
      const opened = new ErofsReader(image);
      try {
        const look = (number: number, depth: number): void => {
          const inode = opened.inode(number);
          if (inode.kind === 'symlink') opened.target(inode);
          opened.attributes(inode);
          if (inode.kind !== 'directory' || depth >= 4) return;
          for (const [, child] of opened.entries(inode)) look(child, depth + 1);
        };
        look(opened.root, 0);
      } finally {
        opened.close();
      }
    };
    writeFileSync(image, 'no image');
    assert.throws(walk, ErofsError);
    // Each byte of the superblock and of the first inodes, with any value: an end, and no other error.
    const root = 32 * whole.readUInt16LE(1024 + 14);
    for (let at = 1024; at < root + 256; at += at === 1151 ? root - 1151 : 1) {
      for (const value of [0, 0x7f, 0xff]) {
        const damaged = Buffer.from(whole);
        damaged[at] = value;
        writeFileSync(image, damaged);
        try {
          walk();
        } catch (error) {
          assert.ok(error instanceof ErofsError, `${at}: ${error}`);
        }
      }
    }
    writeFileSync(image, whole);
    truncateSync(image, 2000);
    assert.throws(walk, ErofsError);
  });
});
