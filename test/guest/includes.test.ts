/** Includes: what is copied into each type of mount, and what is refused. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { embedded, system } from '../helpers/connections.js';
import { imageFile, makeImage, unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { noise } from '../helpers/kernel-files.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { LISTING, list, makeTree } from '../helpers/trees.js';

const NOBODY = 65_534;

for (const way of [embedded, system]) {
  it(`a tree into every type of mount over ${way.uri}`, {
    skip: way.skip || unlessProgram('virtiofsd', 'mkfs.ext4'),
  }, async (context) => {
    const name = uniqueName();
    const directory = scratchDirectory(context);
    const tree = makeTree(directory);
    const big = join(directory, 'big');
    writeFileSync(big, noise(40 << 20, 'big'), { mode: 0o644 });
    for (const part of ['rw', 'ro']) mkdirSync(join(directory, part), { mode: 0o755 });
    const image = makeImage(directory, 'ext4');
    const mounts = [
      `host-bind:/mnt=${directory}/rw`,
      `host-bind:/srv=${directory}/ro,ro`,
      'ram:/opt=80M',
      'ram:/opt/deep=1M',
      'guest-bind:/home=/opt/deep',
      `host-image:/media=${image}`,
      'host-bind:/usr/local=',
    ];
    const file = join(directory, 'includes');
    writeFileSync(file, `# comment\n\n/home/one=${tree}/file\n/optical=${tree}\n`.replace(/\/optical.*\n/, ''));
    const includes = ['/mnt/new/tree', '/srv/tree', '/opt/tree', '/opt/deep/er', '/media/tree', '/usr/local/tree'];
    const args = [
      ...mounts.flatMap((mount) => ['-m', mount]),
      ...includes.flatMap((target) => ['-i', `${target}=${tree}`]),
      ...['-i', `/opt/big=${big}`, '-i', `/mnt/big=${big}`, '-I', file],
    ];
    const found = await ask(['-c', way.uri, '-n', name, '-S', 'nobody', ...args], {
      rw: list('/mnt/new/tree'),
      ram: list('/opt/tree'),
      deep: list('/opt/deep/er'),
      image: list('/media/tree'),
      fresh: list('/usr/local/tree'),
      bound: 'cat /home/one; ls /opt/deep',
      run: '/opt/tree/dir/program; /srv/tree/dir/program; /mnt/new/tree/dir/program; cat /opt/tree/link',
      sums: 'sha256sum < /opt/big; sha256sum < /mnt/big; stat -c "%U %a" /opt/big',
      parent: 'stat -c "%U %a" /mnt/new',
      own: 'echo mine >> /opt/tree/file && cat /opt/tree/file; touch /srv/tree/x',
    });
    for (const mount of ['rw', 'ram', 'deep', 'image', 'fresh'] as const) assert.equal(found[mount], LISTING, mount);
    assert.equal(found.bound, 'a file\ner\none');
    assert.equal(found.run, 'it ran\nit ran\nit ran\na file');
    const sum = createHash('sha256').update(readFileSync(big)).digest('hex');
    assert.deepEqual(found.sums.split('\n'), [`${sum}  -`, `${sum}  -`, 'nobody 644']);
    assert.equal(found.parent, 'root 755');
    assert.match(found.own, /^a file\nmine\n.*(Read-only|Permission denied)/);
    assert.equal(statSync(join(directory, 'ro/tree/file')).uid, NOBODY);
    assert.equal(readlinkSync(join(directory, 'rw/new/tree/link')), 'file');
    assert.equal(imageFile(image, 'tree/file'), 'a file\n');
    // The same again, over the files that exist by now.
    const again = await ask(['-c', way.uri, '-n', name, '-S', 'nobody', ...args], {
      rw: list('/mnt/new/tree'),
      image: list('/media/tree'),
    });
    assert.deepEqual([again.rw, again.image], [LISTING, LISTING]);
    await assertNothingLeft(name, way.where);
  });
}

describe('includes', { skip: embedded.skip, concurrency: 2 }, () => {
  it('of one over another, and of a mount over another, are copied in either order and from a file', async (context) => {
    const directory = scratchDirectory(context);
    const tree = join(directory, 'tree');
    const own = join(directory, 'own');
    mkdirSync(join(tree, 'etc'), { recursive: true });
    for (const name of ['file', 'etc/file']) writeFileSync(join(tree, name), 'of the tree\n');
    writeFileSync(own, 'of its own\n');
    const mounts = ['-m', 'ram:/mnt=1M', '-m', 'ram:/mnt/deep=1M', '-m', `host-bind:/srv=${directory}`];
    const given = [`/mnt/etc/file=${own}`, `/mnt=${tree}`, `/mnt/deep/etc=${tree}/etc`, `/mnt/deep/etc/file=${own}`];
    const command = ['--', 'sh', '-c', 'cat /mnt/file /mnt/etc/file /mnt/deep/etc/file; ls /mnt'];
    for (const targets of [given, given.toReversed()]) {
      const file = join(directory, 'sandbox.cfg');
      const args = [...mounts, ...targets.flatMap((target) => ['-i', target])];
      assert.equal((await runSandbox([...args, '--save-config', file, ...command])).code, 0);
      for (const way of [args, ['--config', file]]) {
        const result = await runSandbox(['-c', embedded.uri, ...way, ...command]);
        assert.equal(result.stderr, '');
        assert.equal(result.out, 'of the tree\nof its own\nof its own\ndeep\netc\nfile\n');
      }
    }
  });

  it('create devices only in a mount that is inside only, and skip sockets with a warning', async (context) => {
    const directory = scratchDirectory(context);
    const tree = join(directory, 'tree');
    mkdirSync(tree);
    execFileSync('mknod', [join(tree, 'null'), 'c', '1', '3']);
    await listen(context, join(tree, 'socket'));
    const result = await runSandbox([
      '-c',
      embedded.uri,
      '-v',
      '-p',
      '-m',
      'ram:/mnt=1M',
      '-i',
      `/mnt/tree=${tree}`,
      '--',
      'stat',
      '-c',
      '%n %F %t:%T',
      '/mnt/tree/null',
    ]);
    assert.equal(result.out, '/mnt/tree/null character special file 1:3\n', result.stderr);
    assert.match(result.stderr, /tree\/socket is a socket, and is not copied/);
  });

  const cases: readonly (readonly [string, (directory: string) => readonly string[], ...RegExp[]])[] = [
    [
      'that no mount covers',
      () => ['-m', 'ram:/mnt=1M', '-i', '/mntx=/etc/passwd'],
      /"\/mntx" is not inside any mount/,
      /--mount/,
    ],
    [
      'that do not fit',
      () => ['-m', 'ram:/mnt=100K', '-i', '/mnt/sh=/bin/busybox'],
      /busybox could not be copied to \/mnt\/sh: .*No space left/,
      /more room/,
    ],
    ['that are not there', () => ['-m', 'ram:/mnt=1M', '-i', '/mnt/x=/not/there'], /"\/not\/there", does not exist/],
    [
      'into a directory of the host through a link',
      (directory) => {
        mkdirSync(join(directory, 'mount'));
        symlinkSync(directory, join(directory, 'mount/way'));
        return ['-m', `host-bind:/mnt=${directory}/mount`, '-i', '/mnt/way/escaped=/etc/passwd'];
      },
      /on the host .*mount\/way is a symbolic link, and may lead out of the mount/,
    ],
    [
      'onto a link in a directory of the host',
      (directory) => {
        mkdirSync(join(directory, 'mount'));
        symlinkSync(join(directory, 'escaped'), join(directory, 'mount/file'));
        return ['-m', `host-bind:/mnt=${directory}/mount`, '-i', '/mnt/file=/etc/passwd'];
      },
      /\/etc\/passwd could not be copied to \/mnt\/file: /,
    ],
    [
      'onto a device in a directory of the host',
      (directory) => {
        execFileSync('mknod', [join(directory, 'file'), 'c', '1', '3']);
        return ['-m', `host-bind:/mnt=${directory}`, '-i', '/mnt/file=/etc/passwd'];
      },
      /could not be copied to \/mnt\/file: something other than a file is there/,
    ],
    [
      'of devices into a directory of the host',
      (directory) => ['-m', `host-bind:/mnt=${directory}`, '-i', '/mnt/null=/dev/null'],
      /\/dev\/null is a device, and a copy of it on the host would give access/,
    ],
    [
      'of devices into a fresh directory of the host',
      () => ['-m', 'host-bind:/mnt=', '-i', '/mnt/null=/dev/null'],
      /\/dev\/null is a device, and a copy of it on the host would give access/,
    ],
    [
      'of devices below a directory, by a bind of a fresh directory of the host',
      (directory) => {
        mkdirSync(join(directory, 'tree'));
        execFileSync('mknod', [join(directory, 'tree/null'), 'c', '1', '3']);
        return ['-m', 'host-bind:/mnt=', '-m', 'guest-bind:/opt=/mnt', '-i', `/opt/tree=${directory}/tree`];
      },
      /tree\/null is a device, and a copy of it on the host would give access/,
    ],
    [
      'into an image that is read-only',
      (directory) => ['-m', `host-image:/mnt=${makeImage(directory, 'ext4')},ro`, '-i', '/mnt/x=/etc/passwd'],
      /Read-only file system; .*leave out its ,ro/,
    ],
  ];
  for (const [what, make, ...patterns] of cases) {
    it(`${what} are refused`, { skip: unlessProgram('mkfs.ext4') }, async (context) => {
      const name = uniqueName();
      const directory = scratchDirectory(context);
      const line = assertFailure(await runSandbox(['-c', embedded.uri, '-n', name, ...make(directory), '--', 'true']));
      for (const pattern of patterns) assert.match(line, pattern);
      assert.equal(existsSync(join(directory, 'escaped')), false);
      assert.equal(lstatSync(directory).isDirectory(), true);
      await assertNothingLeft(name);
    });
  }
});

async function listen(context: TestContext, path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  context.after(() => server.close());
}
