/** `layer`: the record of each entry of an overlay's upper layer, and what overlayfs keeps in attributes. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { CallFlag, KEPT_FD, KEPT_SECOND_FD, Proc } from '../../../../src/protocol/wire.js';
import { FullDisk } from '../../../helpers/full-disk.js';
import { unlessProgram } from '../../../helpers/images.js';
import { LEAVE, layerDirectory, layerRecord, whiteout } from '../../../helpers/layer-records.js';
import { unlessRoot } from '../../../helpers/scratch.js';
import { str } from './driver.js';
import { ODD_NAME, Programs, recordsIn } from './programs.js';

const skip = unlessRoot('it makes whiteouts') || unlessProgram('python3', 'mknod', 'mke2fs');

function mark(path: string, name: string, value: string): void {
  const script = 'import os,sys; os.setxattr(sys.argv[1], "trusted.overlay." + sys.argv[2], sys.argv[3].encode())';
  execFileSync('python3', ['-c', script, path, name, value]);
}

/** Records without sizes of directories, which file systems choose. */
function plain(stream: Buffer): string[] {
  return recordsIn(stream).map((record) => {
    const at = 4 + record.readUInt32BE(0);
    if ((record.readUInt32BE(at) & 0o170000) === 0o040000) record.fill(0, at + 12, at + 32);
    return record.toString('latin1');
  });
}

describe('layer', { skip }, () => {
  test('writes a directory before what is in it, whiteouts, and the marks of directories', async (t) => {
    const programs = await Programs.start(t);
    const path = (name: string) => programs.path(name);
    for (const name of ['d', 'd/e', 'opaque', 'moved', 'other']) mkdirSync(path(name), { mode: 0o755 });
    writeFileSync(path('d/file'), '12345', { mode: 0o640 });
    chownSync(path('d/file'), 7, 8);
    utimesSync(path('d/file'), 1, 1);
    writeFileSync(Buffer.concat([Buffer.from(`${programs.directory}/d/e/`), ODD_NAME]), '', { mode: 0o644 });
    utimesSync(Buffer.concat([Buffer.from(`${programs.directory}/d/e/`), ODD_NAME]), 1, 1);
    execFileSync('mknod', [path('gone'), 'c', '0', '0']);
    mark(path('opaque'), 'opaque', 'y');
    mark(path('opaque'), 'redirect', '/elsewhere');
    mark(path('moved'), 'redirect', '/usr/doc');
    mark(path('other'), 'opaque', 'x');
    symlinkSync('/nowhere', path('link'));
    execFileSync('touch', ['-h', '-d', '@1', path('link')]);
    const odd = layerRecord({ name: ODD_NAME.toString('latin1') });
    const file = layerRecord({ name: 'file', mode: 0o100640, uid: 7, gid: 8, size: 5n });
    const link = layerRecord({ name: 'link', mode: 0o120777, size: 8n, target: '/nowhere' });
    const expected = [
      layerDirectory('d', [layerDirectory('e', [odd]), file]),
      layerDirectory('moved', [], '/usr/doc'),
      layerDirectory('opaque', [], '.'),
      layerDirectory('other', []),
      link,
      whiteout('gone'),
      LEAVE,
    ];
    const said = plain(await programs.run(['layer', programs.directory]));
    assert.deepEqual([...said].sort(), plain(Buffer.concat(expected)).sort());
    // The end of the layer is the last record.
    assert.equal(said.at(-1), plain(LEAVE)[0]);
  });

  test('is as deep as it is', async (t) => {
    const programs = await Programs.start(t);
    const script = 'import os,sys\nos.chdir(sys.argv[1])\nfor _ in range(100):\n  os.mkdir("d")\n  os.chdir("d")';
    spawnSync('python3', ['-c', script, programs.directory]);
    assert.equal(recordsIn(await programs.run(['layer', programs.directory])).length, 201);
  });

  test('fails where there is none', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('file'), '');
    symlinkSync('.', programs.path('link'));
    await programs.fails(constants.errno.ENOENT, ['layer', programs.path('none')]);
    await programs.fails(constants.errno.ENOTDIR, ['layer', programs.path('file')]);
    await programs.fails(constants.errno.ENOTDIR, ['layer', programs.path('link')]);
  });
});

describe('keep', { skip }, () => {
  test('holds a directory open, for programs of the init', async (t) => {
    const programs = await Programs.start(t);
    mkdirSync(programs.path('kept'));
    writeFileSync(programs.path('kept/file'), '');
    await programs.guest.ok(Proc.KEEP, str(programs.path('kept')));
    execFileSync('mv', [programs.path('kept'), programs.path('moved')]);
    const said = await programs.run(['list', `/proc/${programs.guest.process.pid}/fd/${KEPT_FD}`]);
    assert.equal(recordsIn(said).length, 1);
  });

  test('closes nothing that has its number', async (t) => {
    const programs = await Programs.start(t);
    for (const name of ['one', 'two', 'three']) mkdirSync(programs.path(name));
    for (const file of ['one/file', 'two/a', 'two/b']) writeFileSync(programs.path(file), '');
    await programs.guest.ok(Proc.KEEP, str(programs.path('one')));
    await programs.guest.ok(Proc.KEEP, str(programs.path('two')));
    await programs.guest.fails(constants.errno.EBUSY, Proc.KEEP, str(programs.path('three')), CallFlag.TOLERATE);
    for (const [fd, count] of [
      [KEPT_FD, 1],
      [KEPT_SECOND_FD, 2],
    ]) {
      const said = await programs.run(['list', `/proc/${programs.guest.process.pid}/fd/${fd}`]);
      assert.equal(recordsIn(said).length, count);
    }
  });

  test('is nothing that a program has', async (t) => {
    const programs = await Programs.start(t);
    mkdirSync(programs.path('kept'));
    await programs.guest.ok(Proc.KEEP, str(programs.path('kept')));
    await programs.guest.ok(Proc.KEEP, str(programs.path('kept')));
    for (const fd of [KEPT_FD, KEPT_SECOND_FD])
      await programs.fails(constants.errno.ENOENT, ['list', `/proc/self/fd/${fd}/`]);
  });

  test('tells of what a file system could not write, also if it was lost before', async (t) => {
    const programs = await Programs.start(t);
    const disk = new FullDisk(t, 'size=8M');
    const [image, point] = [join(disk.path, 'image'), join(disk.path, 'kept')];
    writeFileSync(image, '');
    truncateSync(image, 200 << 20);
    execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'lazy_itable_init=1,lazy_journal_init=1', image]);
    mkdirSync(point);
    execFileSync('mount', ['-o', 'loop,errors=remount-ro', image, point]);
    await programs.guest.ok(Proc.KEEP, str(point));
    await programs.guest.ok(Proc.SYNC);
    disk.fill();
    // The journal has no blocks for it.
    mkdirSync(join(point, 'lost'));
    const { errno } = await programs.guest.call(Proc.SYNC, undefined, CallFlag.TOLERATE);
    assert.ok([constants.errno.EIO, constants.errno.EROFS].includes(errno), String(errno));
  });
});
