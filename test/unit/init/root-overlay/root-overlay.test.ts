/** What root-overlay lays over a root with mounts, without a container: in a mount namespace. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { hostProgram } from '../../../../src/util/programs.js';
import { unlessProgram } from '../../../helpers/images.js';
import { makeRoot, unlessBusybox } from '../../../helpers/roots.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { listTree } from '../../../helpers/tree-listing.js';

const program = hostProgram('root-overlay');
/** Whom root inside is on the host: ids that containers have, of a range of their own. */
const FIRST = 0x7c00_0000;
const READER = ['--reader', '65534', '65534'];
const MAPPED = [...READER, ...['--uid', '--gid'].flatMap((kind) => [kind, '0', String(FIRST), '65536'])];
const BYTES = String(16 << 20);

function refused(...words: readonly string[]) {
  const { status, stdout } = spawnSync(program, words, { encoding: 'utf8' });
  return { status, isUsage: stdout.startsWith('usage: root-overlay ') };
}

describe('its command line', () => {
  const WRONG = {
    'nothing at all': [],
    'a relative root': ['root', BYTES],
    'a size that holds nothing': ['/nowhere', '4096'],
    'a size with a unit': ['/nowhere', '1M'],
    'a reader who is root': ['--reader', '0', '65534', '/nowhere', BYTES],
    'a reader who is nobody in particular': ['--reader', '4294967295', '65534', '/nowhere', BYTES],
    'a reader without a group': ['--reader', '65534', '/nowhere', BYTES],
    'ids without a reader': [...MAPPED.slice(3), '/nowhere', BYTES],
    'a reader of an image': [...MAPPED, '--image', '/nowhere', BYTES],
    'groups of nobody, and an image': ['--image', '--group', '4', '/nowhere', BYTES],
    'ids of users alone': [...READER, '--uid', '0', String(FIRST), '65536', '/nowhere', BYTES],
    'an empty range': [...MAPPED, '--uid', '0', '1', '0', '/nowhere', BYTES],
    'a file that is not absolute': [...MAPPED, '--empty', 'etc/lock', '/nowhere', BYTES],
    'a directory to keep it that is not absolute': [...MAPPED, '--kept', 'kept', '/nowhere', BYTES],
    'two directories to keep it': ['--kept', '/one', '--kept', '/two', '/nowhere', BYTES],
    'a time to wait with a unit': ['--kept', '/one', '--wait', '5s', '/nowhere', BYTES],
    'an unknown option': ['--all', '/nowhere', BYTES],
  };
  for (const [what, words] of Object.entries(WRONG)) {
    it(`is refused with ${what}`, () => assert.deepEqual(refused(...words), { status: 2, isUsage: true }));
  }
});

/** A root of busybox with a file and a directory that only the host's root may read, and an empty lock. */
function makeGround(t: TestContext) {
  const root = makeRoot(t, 'dev', 'closed', 'open', 'below');
  for (const name of ['secret', 'closed/file', 'open/file']) writeFileSync(join(root, name), `host ${name}\n`);
  writeFileSync(join(root, 'lock'), '');
  for (const name of ['cat', 'chmod', 'ls', 'rm', 'stat', 'touch']) symlinkSync('busybox', join(root, 'bin', name));
  chmodSync(join(root, 'closed'), 0o700);
  for (const name of ['secret', 'lock']) chmodSync(join(root, name), 0o640);
  return { root, view: scratchDirectory(t) };
}

/** `$view` is the root where root-overlay finds it; `inside SCRIPT` is what root inside does. */
const PRELUDE = `
  program=$1 root=$2 view=$3; shift 3
  mount --bind $root $view; mount -o remount,bind,ro $view
  inside() { chroot --userspec=${FIRST}:${FIRST} --groups= $view /bin/busybox sh -c "$1" 2>&1 || true; }`;

/** The lines that a script writes. The host keeps what it has. */
function run(t: TestContext, words: readonly string[], before: string, after: string): string[] {
  const { root, view } = makeGround(t);
  const earlier = listTree(root);
  const script = `${PRELUDE}
    mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3
    ${before}
    "$program" "$@" $view ${BYTES} && echo done || echo failed
    ${after}
    ls -A /dev`;
  const { stdout, stderr, status } = spawnSync(
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', '-euc', script, 'sh', program, root, view, ...words],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  assert.deepEqual(listTree(root), earlier);
  const lines = stdout.split('\n').filter((line) => line !== '');
  // Nothing stays of where the layers were.
  assert.equal(lines.pop(), 'null', stdout);
  return lines;
}

const isOverlay = () => execFileSync('stat', ['-f', '-c', '%T', tmpdir()], { encoding: 'utf8' }).trim() === 'overlayfs';
const skip =
  (process.geteuid?.() === 0 ? false : 'needs root') ||
  unlessBusybox ||
  unlessProgram('setfacl') ||
  (isOverlay() && 'scratch directories are in an overlay already');

describe('a root with mounts', { skip }, () => {
  it('belongs to root inside, who reads what everybody may read', (t) => {
    const lines = run(
      t,
      [...MAPPED, '--empty', '/lock', '--empty', '/missing/lock', '--empty', '/secret'],
      '',
      `inside 'cat open/file; cat secret; cat closed/file; stat -c "%u %g %a" secret lock'
       inside 'echo more >> open/file; cat open/file; echo x >> lock && cat lock'
       inside 'echo x >> secret'
       inside 'rm secret && echo mine > secret && cat secret; chmod 755 closed; cat closed/file'`,
    );
    assert.deepEqual(lines, [
      'done',
      'host open/file',
      "cat: can't open 'secret': Permission denied",
      "cat: can't open 'closed/file': Permission denied",
      `${FIRST} ${FIRST} 640`,
      `${FIRST} ${FIRST} 640`,
      ...['host open/file', 'more', 'x'],
      "sh: can't create secret: Permission denied",
      'mine',
      "cat: can't open 'closed/file': Permission denied",
    ]);
  });

  it('belongs to root inside as a whole, who reads all of it, if it is that of an image', (t) => {
    const lines = run(
      t,
      ['--image', ...MAPPED.slice(READER.length)],
      '',
      `inside 'cat secret closed/file; echo more >> secret; cat secret; chmod 755 closed; stat -c "%u %g %a" secret closed'
       grep -c " $view [^ ]*nodev" /proc/self/mountinfo; grep -c " $view [^ ]*nosuid" /proc/self/mountinfo || true`,
    );
    const [secret, closed] = ['host secret', 'host closed/file'];
    const owner = `${FIRST} ${FIRST}`;
    assert.deepEqual(lines, ['done', secret, closed, secret, 'more', `${owner} 640`, `${owner} 755`, '1', '0']);
  });

  it('has its layers where the init has mounted a file system for them, and holds it open', (t) => {
    const lines = run(
      t,
      [...MAPPED, '--empty', '/lock'],
      'mkdir /dev/.overlay; mount -t tmpfs none /dev/.overlay; exec 8< /dev/.overlay',
      `inside 'echo new > open/made; cat open/made'
       cat /proc/self/fd/8/upper/0/open/made
       [ "$(stat -c %.9Y /proc/self/fd/8/upper/0/lock)" = "$(stat -c %.9Y $root/lock)" ] && echo unchanged`,
    );
    assert.deepEqual(lines, ['done', 'new', 'new', 'unchanged']);
  });

  it('has an overlay for each, with the ACL of its topmost directory', (t) => {
    const lines = run(
      t,
      ['--reader', '7', '7'],
      `mount -t tmpfs -o mode=750 none $view/below; echo below > $view/below/file
       setfacl -m u:7:rx,u:${FIRST}:---,d:u:7:r $view/below`,
      `getfacl -cpn $view/below; echo in > $view/below/new; ls $view/below; inside 'ls below'`,
    );
    assert.deepEqual(lines, [
      'done',
      ...['user::rwx', 'user:7:r-x', `user:${FIRST}:---`, 'group::r-x', 'mask::r-x', 'other::---'],
      ...['default:user::rwx', 'default:user:7:r--', 'default:group::r-x', 'default:mask::r-x', 'default:other::---'],
      ...['file', 'new'],
      "ls: can't open 'below': Permission denied",
    ]);
  });

  it('lets nobody execute what is on a mount that does not', (t) => {
    for (const words of [MAPPED, []]) {
      const lines = run(
        t,
        words,
        `for name in below open; do
           mount -t tmpfs -o mode=755 none $view/$name
           cp $view/bin/busybox $view/$name/busybox; chmod 755 $view/$name/busybox
         done
         mount -o remount,noexec $view/below`,
        `chroot $view /below/busybox true 2>/dev/null || echo refused; chroot $view /open/busybox true && echo ran`,
      );
      assert.deepEqual(lines, ['done', 'refused', 'ran']);
    }
  });

  it('keeps read-only what cannot have one, and says so', (t) => {
    const lines = run(
      t,
      MAPPED,
      'mount -t overlay -o lowerdir=$root/open:$root/dev none $view/below',
      `inside 'touch open/x && ls open; touch below/x'`,
    );
    assert.match(lines.shift() ?? '', /^read-only \/below: /);
    assert.deepEqual(lines, ['done', 'file', 'x', 'touch: below/x: Read-only file system']);
  });

  it('lacks what another mount covers', (t) => {
    const lines = run(
      t,
      MAPPED,
      `mount -t tmpfs none $view/below; mkdir $view/below/deep; mount -t tmpfs none $view/below/deep
       mount -t tmpfs none $view/below`,
      `inside 'ls below; cat open/file'`,
    );
    assert.deepEqual(lines, ['done', 'host open/file']);
  });

  it('is as it was if the topmost cannot have one', (t) => {
    const lines = run(
      t,
      MAPPED,
      'umount $view; mount -t proc none $view; mount --bind /bin $view/irq',
      'ls -d $view/self/ns $view/irq/sh; umount $view/irq $view; mount --bind $root $view',
    );
    assert.match(lines.shift() ?? '', /^root-overlay: 22 cannot lay an overlay over .*: Invalid argument$/);
    assert.equal(lines.shift(), 'failed');
    assert.equal(lines.length, 2);
  });
});
