/** Roots of containers that share nothing with the host. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { ext4Of, imageFile, unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { addMuslProgram, makeRoot, unlessBusybox, unlessMusl } from '../helpers/roots.js';
import { scratchDirectory } from '../helpers/scratch.js';

const SHELL = { ...lxc.options, shell: ['/bin/busybox', 'sh'] } as const;

describe('foreign roots of a container', { skip: lxc.skip || unlessBusybox, concurrency: 2 }, () => {
  it('busybox only, with a program of another libc', { skip: unlessMusl }, async (t) => {
    const root = makeRoot(t, 'dev', 'proc', 'sys', 'tmp');
    addMuslProgram(root);
    const found = await ask(
      ['-c', lxc.uri, '-r', root],
      {
        names: 'busybox ls / | busybox tr "\\n" " "',
        program: '/bin/program',
        write: 'echo x > /x',
        tmp: 'echo x > /tmp/x; busybox ls /tmp',
        parent: 'busybox cat /proc/1/comm',
      },
      SHELL,
    );
    assert.equal(found.names, 'bin dev lib proc sys tmp');
    assert.equal(found.program, 'hello from musl');
    assert.match(found.write, /Read-only file system/);
    assert.deepEqual([found.tmp, found.parent], ['x', 'init']);
  });

  it('a root from a disk image, writable and read-only', { skip: unlessProgram('mkfs.ext4') }, async (t) => {
    const image = ext4Of(makeRoot(t, 'dev', 'proc', 'sys', 'tmp'), join(scratchDirectory(t), 'root.img'));
    const questions = {
      root: 'busybox awk \'$2 == "/" {print $1, $3, substr($4, 1, 2)}\' /proc/mounts',
      write: 'echo kept > /file; busybox cat /file',
    };
    const found = await ask(['-c', lxc.uri, '-m', `host-image:/=${image}`], questions, SHELL);
    assert.deepEqual([found.root, found.write], ['/dev/sda ext4 rw', 'kept']);
    assert.equal(imageFile(image, 'file'), 'kept\n');
    const again = await ask(
      ['-c', lxc.uri, '-m', `host-image:/=${image},ro`],
      { ...questions, write: 'echo new > /file; busybox cat /file' },
      SHELL,
    );
    assert.equal(again.root, '/dev/sda ext4 ro');
    assert.match(again.write, /Read-only file system\nkept$/);
  });
});
