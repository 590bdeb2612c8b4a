/** Roots other than the host's. */

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { embedded } from '../helpers/connections.js';
import { ext4Of, imageFile, unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const MUSL = ['/usr/lib/x86_64-linux-musl/libc.so', '/usr/lib/musl/lib/libc.so'].find(existsSync);
const SHELL = { shell: ['/bin/busybox', 'sh'] } as const;

/** A program for another libc than the host's, dynamically linked. */
function addMuslProgram(root: string): void {
  mkdirSync(join(root, 'lib'), { recursive: true });
  copyFileSync(MUSL ?? '', join(root, 'lib/ld-musl-x86_64.so.1'));
  const source = join(root, 'program.c');
  writeFileSync(source, '#include <stdio.h>\nint main(void) { return puts("hello from musl") < 0; }\n');
  execFileSync('musl-gcc', ['-o', join(root, 'bin/program'), source]);
}

/** An ext4 image of a directory. */
function imageOf(context: TestContext, root: string, size: number): string {
  return ext4Of(root, join(scratchDirectory(context), 'root.img'), size);
}

describe('roots', { skip: embedded.skip || unlessBusybox, concurrency: 2 }, () => {
  it('busybox only, with a program of another libc', {
    skip: MUSL === undefined && 'musl is not installed',
  }, async (context) => {
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
    assert.equal(found.names.split('\n').join(' '), 'bin dev lib proc program.c sys tmp');
    assert.equal(found.program, 'hello from musl');
    assert.equal(found.libc, '0');
    assert.equal(found.root, '9p');
    assert.match(found.write, /Read-only file system/);
    assert.equal(found.tmp, 'x');
    assert.equal(found.parent, 'init');
  });

  it('a directory of the host in place of the root, to write to', {
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

  it('a root from a disk image, and the same read-only', { skip: unlessProgram('mkfs.ext4') }, async (context) => {
    const image = imageOf(context, makeRoot(context, 'dev', 'proc', 'sys', 'tmp', 'mnt'), 16 << 20);
    const questions = {
      root: 'busybox awk \'$2 == "/" {print $1, $3, substr($4, 1, 2)}\' /proc/mounts',
      write: 'echo kept > /file; busybox cat /file',
      modules: 'busybox cut -d" " -f1 /proc/modules | busybox grep -c 9p',
    };
    const found = await ask(['-c', embedded.uri, '-m', `host-image:/=${image}`], questions, SHELL);
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

  it('a root of nothing but what is included', async () => {
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

  it('a root without a place for /dev', async (context) => {
    const root = makeRoot(context);
    assertFailure(
      await runSandbox(['-c', embedded.uri, '-r', root, '--', 'true']),
      /step root failed/,
      /directories \/dev and \/proc/,
    );
  });

  it('a distribution of its own', {
    skip: unlessProgram('debootstrap', 'mkfs.ext4'),
    timeout: 600_000,
  }, async (context) => {
    const directory = scratchDirectory(context);
    const suite = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'stable';
    const root = join(directory, 'root');
    // In a mount namespace of its own, so that whatever it mounts goes with it.
    const bootstrap = ['--mount', '--propagation', 'private', 'debootstrap', '--variant=minbase', suite, root];
    try {
      await promisify(execFile)('unshare', bootstrap, { timeout: 500_000 });
    } catch (error) {
      context.skip(`debootstrap cannot make one here: ${String(error).split('\n')[0]}`);
      return;
    }
    const dpkg = execFileSync('chroot', [root, 'dpkg', '--version'], { encoding: 'utf8' });
    assertRun(await runSandbox(['-c', embedded.uri, '-e', 'HOME=/', '-r', root, '--', 'dpkg', '--version']), 0, dpkg);
    symlinkSync('/proc/self/mounts', join(root, 'etc/mtab'));
    const image = imageOf(context, root, 700 << 20);
    const install = 'useradd somebody && id -u somebody && perl -e "print qq(perl\\n)"';
    assertRun(
      await runSandbox(['-c', embedded.uri, '-p', '-m', `host-image:/=${image}`, '--', 'sh', '-c', install]),
      0,
      '1000\nperl\n',
    );
    assert.match(imageFile(image, 'etc/passwd'), /^somebody:x:1000:/m);
  });
});
