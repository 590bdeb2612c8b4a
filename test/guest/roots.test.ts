/** Roots other than the host's. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { ext4Of, imageFile, unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { addMuslProgram, makeRoot, unlessBusybox, unlessMusl } from '../helpers/roots.js';
import { assertFailure, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const SHELL = { shell: ['/bin/busybox', 'sh'] } as const;

/** An ext4 image of a directory. */
function imageOf(context: TestContext, root: string, size: number): string {
  return ext4Of(root, join(scratchDirectory(context), 'root.img'), size);
}

describe('roots', { skip: embedded.skip || unlessBusybox, concurrency: 2 }, () => {
  it('busybox only, with a program of another libc', { skip: unlessMusl }, async (context) => {
    const root = makeRoot(context, 'dev', 'proc', 'sys', 'tmp');
    addMuslProgram(root);
    const found = await ask(
      ['-c', embedded.uri, '-r', root],
      {
        names: 'busybox ls /',
        program: '/bin/program',
        libc: 'busybox grep -ac GLIBC /bin/program',
        root: 'busybox grep " / " /proc/mounts | busybox cut -d" " -f3',
        write: 'echo x > /x',
        tmp: 'echo x > /tmp/x; busybox ls /tmp',
        parent: 'busybox cat /proc/1/comm',
      },
      SHELL,
    );
    assert.equal(found.names.split('\n').join(' '), 'bin dev lib proc sys tmp');
    assert.equal(found.program, 'hello from musl');
    assert.equal(found.libc, '0');
    assert.equal(found.root, 'virtiofs');
    assert.match(found.write, /Read-only file system/);
    assert.equal(found.tmp, 'x');
    assert.equal(found.parent, 'init');
  });

  it('a host directory as a writable root', {
    skip: unlessProgram('virtiofsd'),
  }, async (context) => {
    const root = makeRoot(context);
    const found = await ask(
      ['-c', embedded.uri, '-m', `host-bind:/=${root}`],
      { write: 'echo kept > /file; busybox ls / | busybox tr "\\n" " "' },
      SHELL,
    );
    assert.equal(found.write, 'bin dev file proc run sys tmp');
    assert.equal(readFileSync(join(root, 'file'), 'utf8'), 'kept\n');
    assert.deepEqual(readdirSync(join(root, 'dev')), []);
  });

  it('a root from a disk image, writable and read-only', { skip: unlessProgram('mkfs.ext4') }, async (context) => {
    const image = imageOf(context, makeRoot(context, 'dev', 'proc', 'sys', 'tmp', 'mnt'), 16 << 20);
    const questions = {
      root: 'busybox awk \'$2 == "/" {print $1, $3, substr($4, 1, 2)}\' /proc/mounts',
      write: 'echo kept > /file; busybox cat /file',
      modules: 'busybox cut -d" " -f1 /proc/modules | busybox grep -c 9p',
    };
    const writable = ['-c', embedded.uri, '-m', `host-image:/=${image}`];
    // A snapshot has the modules of every root.
    const found = await ask([...writable, '--boot', 'cold'], questions, SHELL);
    assert.deepEqual([found.root, found.write, found.modules], ['/dev/vda ext4 rw', 'kept', '0']);
    assert.equal(imageFile(image, 'file'), 'kept\n');
    const again = await ask(
      ['-c', embedded.uri, '-m', `host-image:/=${image},ro`],
      { ...questions, write: 'echo new > /file; busybox cat /file' },
      SHELL,
    );
    assert.equal(again.root, '/dev/vda ext4 ro');
    assert.match(again.write, /Read-only file system\nkept$/);
  });

  it('a root that consists of includes only', async () => {
    const args = [
      '-m',
      'ram:/=16M',
      '-i',
      '/bin/busybox',
      '-i',
      '/etc/hostname=/etc/passwd',
      '-i',
      '/tmp/late=/etc/passwd',
    ];
    const found = await ask(
      ['-c', embedded.uri, ...args],
      { all: 'busybox ls / /bin /etc /tmp | busybox tr "\\n" " "' },
      SHELL,
    );
    assert.equal(found.all, '/: bin dev etc proc run sys tmp  /bin: busybox  /etc: hostname  /tmp: late');
  });

  it('a root without /dev', async (context) => {
    const root = makeRoot(context);
    assertFailure(
      await runSandbox(['-c', embedded.uri, '-r', root, '--', 'true']),
      /step root failed/,
      /directories \/dev and \/proc/,
    );
  });
});
