/** `list` and `stat`: the record of each file, whatever its name. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { unlessRoot } from '../../../helpers/scratch.js';
import { LONG_NAME, NOBODY, ODD_NAME, Programs, recordsIn } from './programs.js';

const { errno } = constants;

const TYPE_BITS = 0o170_000;

/** The fields of the record of a file. */
function fileIn(record: Buffer) {
  const nameEnd = 4 + record.readUInt32BE(0);
  const [mode, uid, gid] = [0, 4, 8].map((offset) => record.readUInt32BE(nameEnd + offset));
  const targetStart = nameEnd + 36;
  assert.equal(record.length, targetStart + record.readUInt32BE(nameEnd + 32));
  return {
    name: record.subarray(4, nameEnd),
    mode,
    uid,
    gid,
    size: record.readBigUInt64BE(nameEnd + 12),
    modified: record.readBigInt64BE(nameEnd + 20),
    nanoseconds: record.readUInt32BE(nameEnd + 28),
    target: record.subarray(targetStart).toString('latin1'),
  };
}

describe('list and stat', () => {
  test('write a record for each entry, whatever its name', async (t) => {
    const programs = await Programs.start(t);
    const path = (name: string | Buffer) => Buffer.concat([Buffer.from(`${programs.directory}/`), Buffer.from(name)]);
    writeFileSync(path(ODD_NAME), '12345');
    writeFileSync(path(LONG_NAME), '');
    execFileSync('touch', ['-d', '@-7', programs.path(LONG_NAME)]);
    mkdirSync(path('directory'));
    symlinkSync('/nowhere/at all', path('link'));
    execFileSync('mkfifo', ['-m', '640', programs.path('fifo')]);
    const files = recordsIn(await programs.run(['list', '.'])).map(fileIn);
    const expected = [ODD_NAME, LONG_NAME, 'directory', 'link', 'fifo'].map((name) => {
      const found = lstatSync(path(name), { bigint: true });
      const { mode, uid, gid, size, mtimeNs } = found;
      return {
        name: Buffer.from(name),
        mode: Number(mode),
        uid: Number(uid),
        gid: Number(gid),
        size,
        modified: name === LONG_NAME ? -7n : mtimeNs / 1_000_000_000n,
        nanoseconds: name === LONG_NAME ? 0 : Number(mtimeNs % 1_000_000_000n),
        target: found.isSymbolicLink() ? '/nowhere/at all' : '',
      };
    });
    const byName = (a: { name: Buffer }, b: { name: Buffer }) => Buffer.compare(a.name, b.name);
    assert.deepEqual(files.sort(byName), expected.sort(byName));
    // The same bytes name it.
    assert.equal((await programs.run(['read', ODD_NAME])).toString(), '12345');
    await programs.guest.finish();
  });

  test('list has no limit of names', async (t) => {
    const programs = await Programs.start(t);
    for (let at = 0; at < 5000; at += 1) writeFileSync(programs.path(`${at}`), '');
    const names = recordsIn(await programs.run(['list', programs.directory])).map((record) =>
      String(fileIn(record).name),
    );
    assert.deepEqual(new Set(names), new Set(Array.from({ length: 5000 }, (_, at) => `${at}`)));
    assert.equal(names.length, 5000);
    await programs.guest.finish();
  });

  test('list names what its user may not look at', { skip: unlessRoot('two users') }, async (t) => {
    const programs = await Programs.start(t);
    chmodSync(programs.directory, 0o755);
    mkdirSync(programs.path('closed'));
    writeFileSync(programs.path('closed/file'), 'abc');
    chmodSync(programs.path('closed'), 0o744);
    const [file, ...others] = recordsIn(await programs.run(['list', 'closed'], NOBODY)).map(fileIn);
    assert.deepEqual([String(file?.name), file?.mode, file?.size, others], ['file', 0, 0n, []]);
    await programs.guest.finish();
  });

  test('stat is of a link, or of what it leads to', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('file'), 'abc');
    symlinkSync('file', programs.path('link'));
    symlinkSync('none', programs.path('dangling'));
    const stat = async (...argv: string[]) => recordsIn(await programs.run(['stat', ...argv])).map(fileIn);
    const [link, ...none] = await stat('link', '0');
    const [file] = await stat('link', '1');
    assert.deepEqual([link?.target, link?.size, none, file?.target, file?.size], ['file', 4n, [], '', 3n]);
    assert.equal(Number(file?.mode) & TYPE_BITS, 0o100_000);
    assert.equal((await stat('dangling', '0'))[0]?.target, 'none');
    assert.equal(await programs.fails(errno.ENOENT, ['stat', 'dangling', '1']), 'stat(dangling)');
    await programs.guest.finish();
  });

  test('fail', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('file'), '');
    assert.equal(await programs.fails(errno.ENOENT, ['list', 'none']), 'opendir(none)');
    await programs.fails(errno.ENOTDIR, ['list', 'file']);
    await programs.fails(errno.ENOTDIR, ['stat', 'file/x', '0']);
    await programs.fails(errno.ENAMETOOLONG, ['stat', `${LONG_NAME}n`, '0']);
    await programs.fails(errno.ENOENT, ['list', '']);
    for (const number of ['2', '', '-1', '+1', ' 1', '1 ', '0x1', '00000000000000000001x', '4294967297'])
      assert.equal(await programs.fails(errno.EINVAL, ['stat', '/', number]), `a number: ${number}`);
    await programs.guest.finish();
  });
});
