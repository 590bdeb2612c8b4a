/**
 * What virtiofsd is told and may do, without a machine. A script takes virtiofsd's place: it is mounted over it where
 * the mount namespace stays as it is, which is so without CAP_SYS_ADMIN.
 */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { hostProgram } from '../../../../src/util/programs.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const VIRTIOFSD = '/usr/libexec/virtiofsd';

/** Runs the program with a script as virtiofsd and a descriptor that is at its end, as if QEMU had connected. */
function serve(t: TestContext, script: string, ...options: readonly string[]) {
  const directory = scratchDirectory(t);
  const fake = join(directory, 'virtiofsd');
  writeFileSync(fake, `#!/bin/bash\n${script}\n`, { mode: 0o755 });
  const log = join(directory, 'log');
  const mounted =
    'mount --bind "$0" "$1" && shift && exec setpriv --bounding-set=-sys_admin -- "$@" 9</dev/null 2>"$LOG"';
  const command = [hostProgram('share-server'), '--fd=9', '--shared-dir', directory, '--sandbox', 'chroot', ...options];
  const result = spawnSync('unshare', ['--mount', '--', 'sh', '-c', mounted, fake, VIRTIOFSD, ...command], {
    env: { ...process.env, LOG: log },
    encoding: 'utf8',
  });
  return { code: result.status, stderr: result.stderr, log, directory };
}

const skip = unlessRoot('it mounts') || (existsSync(VIRTIOFSD) ? false : `there is no ${VIRTIOFSD}`);

describe('share-server without the right to make namespaces', { skip }, () => {
  it('says so, and limits capabilities all the same', (t) => {
    const script = 'grep -E "^(CapEff|NoNewPrivs)" /proc/self/status; echo "$@"; echo "$PATH $LC_ALL $LOG."; exit 7';
    const { code, log, directory } = serve(t, script, '--readonly');
    const [warning, capabilities, privileges, words = '', environment] = readLines(log);
    assert.equal(warning, 'share-server: no namespaces for virtiofsd: Operation not permitted');
    // DAC_READ_SEARCH, SETPCAP and SYS_CHROOT. virtiofsd drops the latter two.
    assert.equal(capabilities, 'CapEff:\t0000000000040104');
    assert.equal(privileges, 'NoNewPrivs:\t1');
    assert.match(words, new RegExp(`--fd=9 --shared-dir ${directory} --sandbox chroot --readonly --modcaps=-chown:`));
    assert.equal(environment, '/usr/bin:/bin C .', "nothing of the caller's environment");
    assert.equal(code, 7, "virtiofsd's exit status");
  });

  it('refuses user namespaces, and leaves processes and threads', { skip: unlessProgram('perl') }, (t) => {
    // unshare(2), clone(2) and clone3(2) by their numbers on x86_64 and aarch64: a new user namespace and SIGCHLD.
    const calls = `my ($unshare, $clone) = @{{ x86_64 => [272, 56], aarch64 => [97, 220] }->{(POSIX::uname())[4]}};
      for ([$unshare, 0x200], [$unshare, 0x10000000], [$clone, 0x10000011, 0, 0, 0, 0], [435, 0, 0]) {
        my $result = syscall($_->[0], @$_[1 .. $#$_]); exit 0 if $result == 0 && $_->[0] == $clone;
        print $result == 0 ? "done" : $!, "\\n"; }`;
    const { code, log } = serve(t, `perl -MPOSIX -e '${calls}'; (echo child) | cat; exit 3`);
    const refused = 'Operation not permitted';
    assert.deepEqual(
      [code, ...readLines(log).slice(1)],
      [3, 'done', refused, refused, 'Function not implemented', 'child'],
    );
  });

  it('bounds the log, and does not hold up what writes to it', (t) => {
    const { code, log } = serve(t, 'head -c 50000000 /dev/zero | tr "\\0" x; exit 0');
    assert.equal(code, 0);
    const { size } = statSync(log);
    assert.ok(size > 256 << 10 && size < (256 << 10) + 200, `${size} bytes`);
    assert.equal(readLines(log).at(-1), 'share-server: the log is full, further messages are left out');
  });
});

describe('share-server by a link that is called overlay-server', { skip: skip || unlessProgram('flock') }, () => {
  function overlayServer(t: TestContext) {
    const directory = scratchDirectory(t);
    const link = join(directory, 'overlay-server');
    symlinkSync(hostProgram('share-server'), link);
    const fake = join(directory, 'virtiofsd');
    const script = '#!/bin/sh\ngrep CapEff /proc/self/status; echo "$@"; flock -n "$3" true || echo locked\n';
    writeFileSync(fake, script, { mode: 0o755 });
    const mounted = 'mount --bind "$0" "$1" && shift && exec setpriv --bounding-set=-sys_admin -- "$@" 9</dev/null';
    const command = [link, '--fd=9', '--shared-dir', directory, '--sandbox', 'chroot'];
    const words = ['--mount', '--', 'sh', '-c', mounted, fake, VIRTIOFSD, ...command];
    const run = () => spawnSync('unshare', words, { encoding: 'utf8' });
    return { directory, run };
  }

  it('keeps the lock of the layers, and renames attributes but that of capabilities', (t) => {
    const { stderr } = overlayServer(t).run();
    const [, capabilities, words = '', locked] = stderr.split('\n');
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, SETPCAP, SYS_CHROOT and SETFCAP; DAC_READ_SEARCH where the
    // limit of descriptors cannot be raised.
    assert.match(capabilities ?? '', /^CapEff:\t00000000800401d[bf]$/);
    const map =
      ':bad:all:trusted.overlay.origin:trusted.overlay.origin::ok:all:security.capability:security.capability:';
    assert.ok(words.endsWith(` --xattr --xattrmap=${map}:prefix:all::user.virtiofs.::bad:all:::`), words);
    assert.equal(locked, 'locked');
  });

  it('serves nothing that another process serves, and again when that has ended', async (t) => {
    const { directory, run } = overlayServer(t);
    const other = spawn('flock', [directory, 'sh', '-c', 'echo; read line'], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(other.stdout, 'data');
    const { status, stderr } = run();
    assert.deepEqual(
      [status, stderr],
      [126, 'share-server: the overlay is in use: Resource temporarily unavailable\n'],
    );
    other.kill('SIGKILL');
    other.stdin.end();
    await once(other, 'close');
    spawnSync('flock', [directory, 'true']);
    assert.equal(run().status, 0);
  });
});

describe('share-server with a command that it does not understand', { skip }, () => {
  const run = (...words: readonly string[]) => spawnSync(hostProgram('share-server'), words, { encoding: 'utf8' });

  it('starts no virtiofsd without walls', () => {
    for (const words of [
      [],
      ['--fd=9'],
      ['--shared-dir', '/'],
      ['--fd=9', '-o', 'source=/'],
      ['--version', '--fd=9'],
    ]) {
      const { status, stderr, stdout } = run(...words);
      assert.deepEqual([status, stdout], [126, ''], words.join(' '));
      assert.match(stderr, /^share-server: the command has no --fd=N or no --shared-dir DIRECTORY; use a libvirt /);
    }
  });

  it('has virtiofsd answer questions about itself', () => {
    assert.match(run('--print-capabilities').stdout, /"type": "fs"/);
    assert.match(run('--version').stdout, /^virtiofsd /);
  });
});

function readLines(path: string): string[] {
  return spawnSync('cat', [path], { encoding: 'utf8' }).stdout.trimEnd().split('\n');
}
