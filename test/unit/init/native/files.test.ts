/** Operations on files. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { open, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { CallFlag, Proc, WriteFlag } from '../../../../src/protocol/wire.js';
import { Guest, list, str, u32, u64, writeFilePayload } from './driver.js';
import { scratch } from './machine.js';

const { errno } = constants;

describe('files', () => {
  test('MKDIR creates parents, and leaves existing directories alone', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const make = (path: string, mode: number) => Buffer.concat([str(path), u32(mode)]);
    await guest.ok(Proc.MKDIR, make(`${directory}/a/b//c/`, 0o1777));
    assert.equal((await stat(`${directory}/a`)).mode & 0o7777, 0o755);
    assert.equal((await stat(`${directory}/a/b/c`)).mode & 0o7777, 0o1777);
    await guest.ok(Proc.MKDIR, make(`${directory}/a/b/c`, 0o700));
    assert.equal((await stat(`${directory}/a/b/c`)).mode & 0o7777, 0o1777);
    await guest.ok(Proc.MKDIR, make('/', 0o700));
    await writeFile(`${directory}/file`, '');
    const detail = await guest.fails(errno.ENOTDIR, Proc.MKDIR, make(`${directory}/file`, 0o755), CallFlag.TOLERATE);
    assert.equal(detail, `mkdir(${directory}/file, 0755): Not a directory`);
    await guest.fails(errno.ENOTDIR, Proc.MKDIR, make(`${directory}/file/x`, 0o755), CallFlag.TOLERATE);
    await guest.fails(errno.ENOENT, Proc.MKDIR, make('', 0o755));
    await guest.finish();
  });

  test('SYMLINK accepts an existing link only when it is the same', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const link = (target: string) => Buffer.concat([str(target), str(`${directory}/link`)]);
    await guest.ok(Proc.SYMLINK, link('/proc/self/fd'));
    await guest.ok(Proc.SYMLINK, link('/proc/self/fd'));
    assert.equal(await readlink(`${directory}/link`), '/proc/self/fd');
    await guest.fails(errno.EEXIST, Proc.SYMLINK, link('/proc/self/f'), CallFlag.TOLERATE);
    await guest.fails(errno.EEXIST, Proc.SYMLINK, link('/proc/self/fds'));
    await guest.finish();
  });

  test('WRITE_FILE replaces, appends, creates parents, and can refuse to replace', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const path = `${directory}/x/y/file`;
    await guest.fails(errno.ENOENT, Proc.WRITE_FILE, writeFilePayload(path, 'a'), CallFlag.TOLERATE);
    await guest.ok(Proc.WRITE_FILE, writeFilePayload(path, 'first', WriteFlag.PARENTS, 0o606));
    assert.equal((await stat(path)).mode & 0o7777, 0o606);
    await guest.ok(Proc.WRITE_FILE, writeFilePayload(path, 'one\0', 0, 0o777));
    assert.equal((await stat(path)).mode & 0o7777, 0o606);
    await guest.ok(Proc.WRITE_FILE, writeFilePayload(path, 'two', WriteFlag.APPEND));
    assert.equal(await readFile(path, 'latin1'), 'one\0two');
    const again = writeFilePayload(path, 'three', WriteFlag.EXCLUSIVE);
    await guest.fails(errno.EEXIST, Proc.WRITE_FILE, again, CallFlag.TOLERATE);
    assert.equal(await readFile(path, 'latin1'), 'one\0two');
    await guest.fails(errno.EINVAL, Proc.WRITE_FILE, writeFilePayload(path, '', 8), CallFlag.TOLERATE);
    await guest.ok(Proc.WRITE_FILE, writeFilePayload(path, ''));
    assert.equal((await stat(path)).size, 0);
    await guest.finish();
  });

  test('READ_FILE returns a file up to its limit', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const path = `${directory}/file`;
    const read = (limit: number) => Buffer.concat([str(path), u32(limit)]);
    const content = Buffer.from(Array.from({ length: 131_072 }, (_, i) => (i * 7) & 0xff));
    await writeFile(path, content);
    assert.deepEqual(await guest.ok(Proc.READ_FILE, read(131_072)), Buffer.concat([u32(131_072), content]));
    await guest.fails(errno.EFBIG, Proc.READ_FILE, read(131_071), CallFlag.TOLERATE);
    await writeFile(path, Buffer.concat([content, Buffer.of(0)]));
    await guest.fails(errno.EFBIG, Proc.READ_FILE, read(131_072), CallFlag.TOLERATE);
    await guest.fails(errno.EINVAL, Proc.READ_FILE, read(0), CallFlag.TOLERATE);
    await guest.fails(errno.EINVAL, Proc.READ_FILE, read(131_073), CallFlag.TOLERATE);
    await writeFile(path, '');
    assert.deepEqual(await guest.ok(Proc.READ_FILE, read(1)), u32(0));
    await guest.fails(errno.EISDIR, Proc.READ_FILE, Buffer.concat([str('/'), u32(1)]));
    await guest.finish();
  });

  test('READ_FILE takes nothing from a device or a pipe', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const [pipe, link] = [join(directory, 'pipe'), join(directory, 'link')];
    execFileSync('mkfifo', [pipe]);
    const end = await open(pipe, 'r+');
    await end.write('of others');
    await symlink('/dev/zero', link);
    for (const path of [pipe, link])
      await guest.fails(errno.EINVAL, Proc.READ_FILE, Buffer.concat([str(path), u32(100)]), CallFlag.TOLERATE);
    assert.equal((await end.read(Buffer.alloc(20))).bytesRead, 9);
    await end.close();
    await guest.finish();
  });

  test("READ_LINK returns a link's target, and EINVAL for other files", async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    await symlink('../some where', join(directory, 'link'));
    await writeFile(join(directory, 'file'), '');
    assert.deepEqual(await guest.ok(Proc.READ_LINK, str(join(directory, 'link'))), str('../some where'));
    await guest.fails(errno.EINVAL, Proc.READ_LINK, str(join(directory, 'file')), CallFlag.TOLERATE);
    await guest.fails(errno.ENOENT, Proc.READ_LINK, str(join(directory, 'none')));
    await guest.finish();
  });

  test('LIST_DIR sorts by byte, and returns at most 4096 names', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const names = ['b', 'Z', '.hidden', 'a', 'ä', 'aa'];
    for (const name of names) await writeFile(join(directory, name), '');
    const sorted = ['.hidden', 'Z', 'a', 'aa', 'b', 'ä'];
    assert.deepEqual(await guest.ok(Proc.LIST_DIR, str(directory)), list(sorted));
    for (let i = names.length; i < 4096; i++) await writeFile(join(directory, `n${i}`), '');
    assert.equal((await guest.ok(Proc.LIST_DIR, str(directory))).readUInt32BE(0), 4096);
    await writeFile(join(directory, 'one-more'), '');
    await guest.fails(errno.E2BIG, Proc.LIST_DIR, str(directory), CallFlag.TOLERATE);
    await guest.fails(errno.ENOTDIR, Proc.LIST_DIR, str(join(directory, 'a')));
    await guest.finish();
  });

  test('LIST_DIR returns E2BIG when the names do not fit in a packet', async (t) => {
    const directory = await scratch(t);
    for (let i = 0; i < 1100; i++) await writeFile(join(directory, `${i}`.padEnd(250, 'x')), '');
    const guest = await Guest.start(t);
    await guest.fails(errno.E2BIG, Proc.LIST_DIR, str(directory));
    await guest.finish();
  });

  test('MKNOD', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const node = (path: string, mode: number) => Buffer.concat([str(path), u32(mode), u32(1), u32(3)]);
    const pipe = join(directory, 'pipe');
    await guest.ok(Proc.MKNOD, node(pipe, 0o010640));
    const made = await stat(pipe);
    assert.ok(made.isFIFO());
    assert.equal(made.mode & 0o7777, 0o640);
    const detail = await guest.fails(errno.EEXIST, Proc.MKNOD, node(pipe, 0o010640), CallFlag.TOLERATE);
    assert.equal(detail, `mknod(${pipe}, 010640, 1:3): File exists`);
    await guest.fails(errno.ENOENT, Proc.MKNOD, node(join(directory, 'a/b'), 0o010640));
    await guest.finish();
  });

  test('STAT, CHMOD and CHOWN', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const path = join(directory, 'file');
    await writeFile(path, '12345');
    await symlink(path, join(directory, 'link'));
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    await guest.ok(Proc.CHMOD, Buffer.concat([str(path), u32(0o4751)]));
    await guest.ok(Proc.CHOWN, Buffer.concat([str(join(directory, 'link')), u32(uid), u32(gid)]));
    const expected = Buffer.concat([u32(0o104751), u32(uid), u32(gid), u64(5n), u32(0), u32(0)]);
    assert.deepEqual(await guest.ok(Proc.STAT, Buffer.concat([str(path), u32(0)])), expected);
    assert.deepEqual(await guest.ok(Proc.STAT, Buffer.concat([str(join(directory, 'link')), u32(1)])), expected);
    const link = await guest.ok(Proc.STAT, Buffer.concat([str(join(directory, 'link')), u32(0)]));
    assert.equal(link.readUInt32BE(0) & 0o170000, 0o120000);
    const device = await guest.ok(Proc.STAT, Buffer.concat([str('/dev/null'), u32(1)]));
    assert.deepEqual([device.readUInt32BE(20), device.readUInt32BE(24)], [1, 3]);
    await guest.fails(errno.EINVAL, Proc.STAT, Buffer.concat([str(path), u32(2)]), CallFlag.TOLERATE);
    await guest.fails(errno.ENOENT, Proc.CHMOD, Buffer.concat([str(`${path}x`), u32(0)]), CallFlag.TOLERATE);
    const detail = await guest.fails(errno.ENOENT, Proc.CHOWN, Buffer.concat([str(`${path}x`), u32(1), u32(2)]));
    assert.equal(detail, `lchown(${path}x, 1, 2): No such file or directory`);
    await guest.finish();
  });
});
