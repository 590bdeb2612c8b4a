/** Copies of what only root may read, into the layers of a state. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { opaqueByAttribute } from '../../../../src/sandbox/devices/overlay-attributes.js';
import { closedPaths, type Source } from '../../../../src/service/content/closed.js';
import { Copier } from '../../../../src/service/content/copy.js';
import { copyContent } from '../../../../src/service/content/copy-file.js';
import { layerOfEachMount, oneLayer } from '../../../../src/service/content/layers.js';
import { Rights } from '../../../../src/service/content/reader.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const skip = unlessRoot('files have other owners');
const OTHERS = { uid: undefined, gids: [] };
const whole = (path: string) => ({ path, isWhole: true });
const wish = (path: string, withoutLogs = false) => ({ path, withoutLogs });

function ground(context: TestContext) {
  const directory = scratchDirectory(context, WITH_ATTRIBUTES);
  const [root, upper] = [join(directory, 'root'), join(directory, 'upper')];
  for (const path of [root, upper]) mkdirSync(path);
  const source: Source = {
    root,
    rights: new Rights(OTHERS),
    foreign: new Set(),
    mounts: new Set(['/']),
    check: () => {},
  };
  return { directory, root, upper, source };
}

/** Makes a file or, with a slash at its end, a directory. */
function make(root: string, path: string, mode: number, uid = 0): void {
  const made = join(root, path);
  if (path.endsWith('/')) mkdirSync(made, { recursive: true });
  else writeFileSync(made, path);
  chownSync(made, uid, uid);
  chmodSync(made, mode);
}

function isOpaque(path: string, kind: 'machine' | 'container' = 'machine'): boolean {
  const fd = openSync(path, 'r');
  try {
    return opaqueByAttribute(kind)(fd);
  } finally {
    closeSync(fd);
  }
}

describe('closedPaths', { skip }, () => {
  it('finds what others may not read or enter, each once', async (context) => {
    const { root, source } = ground(context);
    for (const [path, mode, uid] of [
      ['/etc/', 0o755],
      ['/etc/web/', 0o755],
      ['/etc/web/open', 0o644],
      ['/etc/web/key', 0o640, 33],
      ['/etc/web/closed/', 0o710],
      ['/etc/web/closed/open', 0o644],
      ['/etc/web/listed/', 0o754],
      ['/etc/web/sub/', 0o755],
      ['/etc/web/sub/key', 0o600],
      ['/etc/shared/', 0o700],
      ['/etc/shared/ours', 0o644],
      ['/etc/shared/theirs', 0o644],
    ] as const)
      make(root, path, mode, uid);
    symlinkSync('/etc/shared', join(root, 'etc/web/link'));
    execFileSync('mkfifo', ['-m', '600', join(root, 'etc/web/pipe')]);
    const candidates = [
      whole('/etc/web'),
      { path: '/etc/shared', isWhole: false },
      whole('/etc/shared/ours'),
      whole('/etc/missing/x'),
      whole('/etc/web/link/ours'),
    ];
    assert.deepEqual(await closedPaths(source, candidates), [
      '/etc/shared/ours',
      '/etc/web/closed',
      '/etc/web/key',
      '/etc/web/listed',
      '/etc/web/sub/key',
    ]);
    const foreign = new Set(['/etc/web/closed', '/etc/web/sub']);
    assert.deepEqual(await closedPaths({ ...source, foreign }, [whole('/etc/web'), whole('/etc/web/sub/key')]), [
      '/etc/web/key',
      '/etc/web/listed',
    ]);
  });

  it('looks at each mount of a container for itself', async (context) => {
    const { root, source } = ground(context);
    for (const [path, mode] of [
      ['/srv/', 0o700],
      ['/srv/data/', 0o700],
      ['/srv/data/open', 0o644],
      ['/srv/data/sub/', 0o755],
      ['/srv/file', 0o644],
    ] as const)
      make(root, path, mode);
    const mounts = new Set(['/', '/srv/data']);
    assert.deepEqual(await closedPaths({ ...source, mounts }, [whole('/srv')]), [
      '/srv',
      '/srv/data/open',
      '/srv/data/sub',
    ]);
  });
});

describe('Copier', { skip }, () => {
  it('keeps owners, modes, times and links, and leaves out what is no file', async (context) => {
    const { root, upper, source } = ground(context);
    for (const [path, mode, uid] of [
      ['/etc/', 0o751, 7],
      ['/etc/closed/', 0o2750, 33],
      ['/etc/closed/sub/', 0o1777],
      ['/etc/closed/sub/file', 0o4640, 34],
      ['/etc/closed/other', 0o644],
    ] as const)
      make(root, path, mode, uid);
    const closed = join(root, 'etc/closed');
    linkSync(join(closed, 'sub/file'), join(closed, 'hard'));
    symlinkSync('/nowhere', join(closed, 'link'));
    lchownSync(join(closed, 'link'), 35, 36);
    execFileSync('mkfifo', [join(closed, 'pipe')]);
    execFileSync('mknod', [join(closed, 'null'), 'c', '1', '3']);
    writeFileSync(join(closed, 'sparse'), '');
    truncateSync(join(closed, 'sparse'), 2 ** 40);
    for (const path of ['sub/file', 'sub', '.']) utimesSync(join(closed, path), 1e9, 1e9 + 0.25);
    const seen: number[] = [];
    const copier = new Copier(source, oneLayer(upper, 'machine'), ({ files }) => seen.push(files));
    await copier.copy([wish('/etc/closed')]);
    const copy = join(upper, 'etc/closed');
    assert.deepEqual(readdirSync(copy), ['hard', 'link', 'other', 'sparse', 'sub']);
    for (const path of ['', 'sub', 'sub/file', 'other', 'link', 'sparse']) {
      const [one, other] = [lstatSync(join(closed, path)), lstatSync(join(copy, path))];
      assert.deepEqual([one.mode, one.uid, one.gid, one.size], [other.mode, other.uid, other.gid, other.size], path);
      assert.ok(Math.abs(one.mtimeMs - other.mtimeMs) < 0.01, path);
    }
    assert.equal(readlinkSync(join(copy, 'link')), '/nowhere');
    assert.equal(lstatSync(join(copy, 'hard')).ino, lstatSync(join(copy, 'sub/file')).ino);
    assert.ok(lstatSync(join(copy, 'sparse')).blocks < 1000);
    const { mode, uid } = lstatSync(join(upper, 'etc'));
    assert.deepEqual([mode & 0o7777, uid], [0o751, 7]);
    assert.deepEqual([isOpaque(join(upper, 'etc')), isOpaque(copy), isOpaque(join(copy, 'sub'))], [false, true, false]);
    // The other name of the first one is no copy.
    assert.deepEqual([seen, copier.unsettled], [[1, 2, 3], []]);
  });

  it('gives a closed directory on the way nothing else of the host, and a log nothing', async (context) => {
    const { root, upper, source } = ground(context);
    for (const [path, mode] of [
      ['/etc/private/', 0o700],
      ['/etc/private/ours', 0o600],
      ['/etc/private/theirs', 0o600],
      ['/var/log/web/', 0o750],
      ['/var/log/web/access.log', 0o640],
    ] as const)
      make(root, path, mode);
    const copier = new Copier(source, oneLayer(upper, 'container'));
    await copier.copy([wish('/etc/private/ours'), wish('/var/log/web', true), wish('/etc/private/ours')]);
    assert.deepEqual(readdirSync(join(upper, 'etc/private')), ['ours']);
    assert.ok(isOpaque(join(upper, 'etc/private'), 'container'));
    const { size, mode } = lstatSync(join(upper, 'var/log/web/access.log'));
    assert.deepEqual([size, mode & 0o7777], [0, 0o640]);
    await new Copier(source, oneLayer(upper, 'machine')).copy([]);
  });

  it('follows no link that is put in the place of a directory', async (context) => {
    const { directory, root, upper, source } = ground(context);
    make(root, '/closed/', 0o700);
    for (const name of ['a', 'b', 'c']) make(root, `/closed/${name}/`, 0o755);
    make(root, '/closed/a/file', 0o644);
    make(root, '/closed/b/file', 0o644);
    const secret = join(directory, 'secret');
    make(secret, '/', 0o700);
    make(secret, '/file', 0o600);
    let calls = 0;
    const check = () => {
      calls += 1;
      if (existsSync(join(upper, 'closed/a/file')) && !lstatSync(join(root, 'closed/b')).isSymbolicLink()) {
        renameSync(join(root, 'closed/b'), join(root, 'closed/b.old'));
        symlinkSync(secret, join(root, 'closed/b'));
      }
    };
    await new Copier({ ...source, check }, oneLayer(upper, 'machine')).copy([wish('/closed')]);
    assert.ok(calls > 3);
    assert.equal(readlinkSync(join(upper, 'closed/b')), secret);
    assert.deepEqual(readdirSync(join(upper, 'closed')), ['a', 'b', 'c']);
  });

  it('says which file changes all the time, and ends when it is told to', async (context) => {
    const { root, upper, source } = ground(context);
    make(root, '/key', 0o600);
    const path = join(root, 'key');
    let calls = 0;
    // It is written to when the first bytes were read.
    truncateSync(path, 2 ** 20);
    const check = () => {
      calls += 1;
      utimesSync(path, calls, calls);
    };
    const copier = new Copier({ ...source, check }, oneLayer(upper, 'machine'));
    await copier.copy([wish('/key')]);
    assert.deepEqual(copier.unsettled, ['/key']);
    const stop = () => {
      throw new SandboxError({ stage: 'service', code: 'aborted', message: 'x', remedy: 'x' });
    };
    await assert.rejects(new Copier({ ...source, check: stop }, oneLayer(upper, 'machine')).copy([wish('/key')]), {
      code: 'aborted',
    });
  });

  it('puts what is on a mount into the layers of that mount', async (context) => {
    const { directory, root, source } = ground(context);
    make(root, '/srv/', 0o700);
    make(root, '/srv/data/', 0o750, 8);
    make(root, '/srv/data/key', 0o600);
    make(root, '/srv/file', 0o600);
    const layers = join(directory, 'layers');
    mkdirSync(layers);
    const mounts = ['/', '/srv/data'];
    const target = layerOfEachMount(layers, root, mounts, 'container');
    await new Copier({ ...source, mounts: new Set(mounts) }, target).copy([wish('/srv'), wish('/srv/data/key')]);
    const [top, below] = ['%2F', '%2Fsrv%2Fdata'].map((name) => join(layers, 'mounts', name, 'upper')) as [
      string,
      string,
    ];
    assert.deepEqual(readdirSync(join(top, 'srv')), ['data', 'file']);
    assert.deepEqual(readdirSync(join(top, 'srv/data')), []);
    assert.deepEqual(readdirSync(below), ['key']);
    assert.deepEqual([lstatSync(below).mode & 0o7777, lstatSync(below).uid], [0o750, 8]);
    assert.equal(isOpaque(join(top, 'srv'), 'container'), true);
  });
});

describe('copyContent', () => {
  it('takes what it finds, and nothing that is gone or no file', async (context) => {
    const directory = scratchDirectory(context);
    const at = (name: string) => Buffer.from(join(directory, name));
    const options = { check: () => {}, listOf: () => undefined };
    writeFileSync(at('file'), 'text');
    assert.equal((await copyContent(at('file'), at('copy'), options))?.isUnsettled, false);
    assert.equal(readFileSync(at('copy'), 'utf8'), 'text');
    rmSync(at('copy'));
    symlinkSync('file', at('link'));
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    for (const name of ['none', 'link', 'pipe', '.'])
      assert.equal(await copyContent(at(name), at('copy'), options), undefined, name);
    await assert.rejects(copyContent(at('file'), at('none/copy'), options), { code: 'ENOENT' });
    assert.equal(existsSync(at('copy')), false);
  });
});
