/** Copies that fail: which file, on which side, and what is left. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { downloadTree } from '../../../../../src/sandbox/files/tree/download.js';
import { encodeDirectory } from '../../../../../src/sandbox/files/tree/encode.js';
import { uploadTree } from '../../../../../src/sandbox/files/tree/upload.js';
import { rejectsWith } from '../../../../helpers/errors.js';
import { FullDisk } from '../../../../helpers/full-disk.js';
import { unlessRoot } from '../../../../helpers/scratch.js';
import { CONFIG } from './guests.js';
import { setUp } from './setup.js';

describe('what cannot be copied', () => {
  test('says which file, on which side, and leaves nothing', async (t) => {
    const { top, source, inside, back, channel } = await setUp(t);
    mkdirSync(join(source, 'sub'), { recursive: true });
    writeFileSync(join(source, 'sub', 'file'), 'content');
    for (const [copy, other, side] of [
      [uploadTree, inside, 'in the sandbox'],
      [downloadTree, back, 'on the host'],
    ] as const) {
      mkdirSync(join(other, 'source', 'sub', 'file'), { recursive: true });
      const here = side === 'on the host' ? 'in the sandbox' : 'on the host';
      const work = (from: string, to: string) => copy(channel, CONFIG, from, to);
      await rejectsWith(work(`${top}/none`, other), 'file-not-found', new RegExp(`/none ${here}`));
      await rejectsWith(work(source, `${top}/no/such`), 'file-not-found', new RegExp(`/no ${side}`));
      await rejectsWith(work(source, other), 'file-exists', new RegExp(`/source/sub/file ${side}: it is a directory`));
      await rejectsWith(
        work(join(source, 'sub', 'file'), `${other}/new/`),
        'not-a-directory',
        new RegExp(`/new ${side}`),
      );
      execFileSync('rm', ['-rf', join(other, 'source', 'sub')]);
      writeFileSync(join(other, 'source', 'sub'), '');
      await rejectsWith(work(source, other), 'not-a-directory', new RegExp(`/source/sub ${side}: it is no directory`));
      await rejectsWith(work('/dev/null', other), 'copy-failed', /it is a device/);
      assert.deepEqual(readdirSync(other, { recursive: true }).sort(), ['source', 'source/sub']);
    }
  });

  test('no space: the file is gone', { skip: unlessRoot('it mounts a file system') }, async (t) => {
    const { source, channel } = await setUp(t);
    writeFileSync(source, Buffer.alloc(3 << 20, 'x'));
    const { path } = new FullDisk(t, 'size=1m');
    await rejectsWith(
      uploadTree(channel, CONFIG, source, path),
      'no-space',
      new RegExp(`${path}/source in the sandbox: no space is left`),
    );
    await rejectsWith(
      downloadTree(channel, CONFIG, source, path),
      'no-space',
      new RegExp(`${path}/source on the host: no space is left`),
    );
    assert.deepEqual(readdirSync(path), []);
  });

  test('less than a size says, a directory that was removed, and a name that is too long', async (t) => {
    const { top, inside, channel } = await setUp(t);
    const online = '/sys/devices/system/cpu/online';
    const { skipped } = await uploadTree(channel, CONFIG, online, inside);
    assert.deepEqual(
      skipped.map(({ path, reason }) => [path, /zeros at its end/.test(reason)]),
      [[online, true]],
    );
    const content = readFileSync(inside, 'utf8');
    assert.equal(content.replace(/\0+$/, ''), readFileSync(online, 'utf8'));
    const gone = join(top, 'gone');
    mkdirSync(gone);
    const fd = openSync(gone, 'r');
    t.after(() => closeSync(fd));
    rmdirSync(gone);
    const result = await uploadTree(channel, CONFIG, `/proc/${process.pid}/fd/${fd}/.`, join(top, 'new'));
    assert.deepEqual([result.directories, readdirSync(join(top, 'new'))], [1, []]);
    // FUSE has such names; what is behind their length would be taken for records.
    const meta = { mode: 0o755, seconds: 0n, nanoseconds: 0 };
    assert.throws(() => encodeDirectory(Buffer.alloc(256, 'x'), meta), { code: 'ENAMETOOLONG' });
  });

  test('more than maxBytes', async (t) => {
    const { top, source, channel } = await setUp(t);
    writeFileSync(source, Buffer.alloc(3 << 20, 'x'));
    mkdirSync(join(top, 'to'));
    for (const copy of [uploadTree, downloadTree])
      await rejectsWith(
        copy(channel, CONFIG, source, join(top, 'to'), { maxBytes: 1 << 20 }),
        'copy-too-large',
        /1048576/,
      );
    assert.deepEqual(readdirSync(join(top, 'to')), []);
    await uploadTree(channel, CONFIG, source, join(top, 'to'), { maxBytes: 4 << 20 });
  });

  test('an AbortSignal ends both ends', async (t) => {
    const { top, source, channel, init } = await setUp(t);
    writeFileSync(source, Buffer.alloc(64 << 20, 'x'));
    mkdirSync(join(top, 'to'));
    const children = () => readFileSync(`/proc/${init.pid}/task/${init.pid}/children`, 'utf8').trim();
    for (const copy of [uploadTree, downloadTree]) {
      const controller = new AbortController();
      const reason = new Error('enough');
      const onProgress = ({ bytes }: { bytes: number }) => {
        if (bytes > 8 << 20) controller.abort(reason);
      };
      const work = copy(channel, CONFIG, source, join(top, 'to'), { signal: controller.signal, onProgress });
      await assert.rejects(work, reason);
      // The call after the signal is answered when the process has got it.
      while (children() !== '') await channel.call({ op: 'sync' });
      assert.deepEqual(readdirSync(join(top, 'to')), []);
    }
    const aborted = AbortSignal.abort(new Error('before'));
    for (const copy of [uploadTree, downloadTree])
      await assert.rejects(copy(channel, CONFIG, source, join(top, 'to'), { signal: aborted }), { message: 'before' });
    assert.equal(existsSync(join(top, 'to', 'source')), false);
  });

  test('the guest dies', async (t) => {
    const { top, source, channel, init } = await setUp(t);
    writeFileSync(source, Buffer.alloc(64 << 20, 'x'));
    mkdirSync(join(top, 'to'));
    const onProgress = ({ bytes }: { bytes: number }) => {
      if (bytes > 8 << 20) init.kill('SIGKILL');
    };
    await rejectsWith(downloadTree(channel, CONFIG, source, join(top, 'to'), { onProgress }), 'process-lost');
    await rejectsWith(uploadTree(channel, CONFIG, source, join(top, 'to')), 'process-lost');
    assert.deepEqual(
      readdirSync(join(top, 'to')).filter((name) => !name.startsWith('.virt-sandbox-')),
      [],
    );
  });
});
