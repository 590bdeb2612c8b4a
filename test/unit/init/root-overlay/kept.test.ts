/** What root-overlay keeps in a directory for the next container, without one: in mount namespaces, one after the other. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { hostProgram } from '../../../../src/util/programs.js';
import { unlessProgram } from '../../../helpers/images.js';
import { makeRoot, unlessBusybox } from '../../../helpers/roots.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';
import { fingerprint } from '../../../helpers/tree-listing.js';

const program = hostProgram('root-overlay');
/** Two containers have two ranges. */
const [FIRST, OTHER] = [0x7c00_0000, 0x7c01_0000];
const mapped = (first: number) => [
  ...['--reader', '65534', '65534'],
  ...['--uid', '--gid'].flatMap((kind) => [kind, '0', String(first), '65536']),
];

interface Ground {
  readonly root: string;
  readonly view: string;
  /** What keeps the overlay, and where it is mounted meanwhile. */
  readonly layers: string;
  readonly bound: string;
}

function makeGround(t: TestContext): Ground {
  const root = makeRoot(t, 'dev', 'open', 'below', 'gone', 'other');
  for (const name of ['open/file', 'gone/file', 'secret']) writeFileSync(join(root, name), `host ${name}\n`);
  chmodSync(join(root, 'secret'), 0o640);
  for (const name of ['cat', 'chmod', 'cp', 'ln', 'ls', 'mkdir', 'mv', 'rm', 'stat', 'touch'])
    symlinkSync('busybox', join(root, 'bin', name));
  const layers = join(scratchDirectory(t, WITH_ATTRIBUTES), 'layers');
  mkdirSync(join(layers, 'mounts'), { recursive: true, mode: 0o700 });
  return { root, view: scratchDirectory(t), layers, bound: scratchDirectory(t) };
}

/** `$view` is the root where root-overlay finds it; `inside SCRIPT` is what root inside does. */
const PRELUDE = `
  program=$1 root=$2 view=$3 layers=$4 bound=$5 first=$6; shift 6
  mount --bind $root $view; mount -o remount,bind,ro $view
  mkdir -p $bound; mount --bind $layers $bound
  inside() { chroot --userspec=$first:$first --groups= $view /bin/busybox sh -c "$1" 2>&1 || true; }
  lay() { "$program" "$@" --kept $bound --wait 5 $view 16777216; }`;

interface Container {
  /** The first of its ids on the host; 0: it has none of its own. */
  readonly first?: number;
  /** What root-overlay is asked for besides; default: a reader, and these ids. */
  readonly words?: readonly string[];
  /** What is mounted below the root. */
  readonly before?: string;
  /** What happens in it, when it has its overlay. */
  readonly script: string;
}

/** Its own /dev, where the layers are meanwhile, and the overlay. */
const LAY = 'mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3\nlay "$@" && echo done';

/** The words of unshare(1) for a script in a mount namespace. */
function wordsOf(
  { root, view, layers, bound }: Ground,
  first: number,
  script: string,
  ids: readonly string[] = first === 0 ? [] : mapped(first),
): string[] {
  const shell = ['sh', '-euc', `${PRELUDE}\n${script}`, 'sh'];
  return ['--mount', '--propagation', 'private', ...shell, program, root, view, layers, bound, String(first), ...ids];
}

/** The lines that a container writes. The host keeps what it has. */
function run(ground: Ground, { first = FIRST, words: asked, before = '', script }: Container): string[] {
  const earlier = fingerprint(ground.root);
  const words = wordsOf(ground, first, `${before}\n${LAY}\n${script}\nls -A /dev`, asked);
  const { stdout, stderr, status } = spawnSync('unshare', words, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.deepEqual(fingerprint(ground.root), earlier);
  const lines = stdout.split('\n').filter((line) => line !== '');
  // No path leads to the layers any more.
  assert.equal(lines.pop(), 'null', stdout);
  assert.equal(existsSync(ground.bound), false);
  return lines;
}

const skip =
  unlessRoot('it mounts') ||
  unlessBusybox ||
  unlessProgram('unshare', 'getfattr') ||
  (['/tmp', WITH_ATTRIBUTES].some(isOverlay) && 'scratch directories are in an overlay already');

function isOverlay(directory: string): boolean {
  return execFileSync('stat', ['-f', '-c', '%T', directory], { encoding: 'utf8' }).trim() === 'overlayfs';
}

describe('an overlay that is kept', { skip }, () => {
  it('is that of an image, which root inside reads as a whole', (t) => {
    const ground = makeGround(t);
    const image = (first: number) => ['--image', ...mapped(first).slice(3)];
    const first = run(ground, {
      script: `inside 'cat secret; echo more >> secret; cp bin/busybox bin/mine; chmod 4755 bin/mine'`,
      words: image(FIRST),
    });
    assert.deepEqual(first, ['done', 'host secret']);
    const second = run(ground, {
      first: OTHER,
      script: `inside 'cat secret; stat -c "%u %g %a" secret bin/mine'
        grep -c " $view [^ ]*nodev" /proc/self/mountinfo; grep -c " $view [^ ]*nosuid" /proc/self/mountinfo || true`,
      words: image(OTHER),
    });
    const owner = `${OTHER} ${OTHER}`;
    assert.deepEqual(second, ['done', 'host secret', 'more', `${owner} 640`, `${owner} 4755`, '1', '0']);
  });

  it('is found by the next container, which has other ids', (t) => {
    const ground = makeGround(t);
    const first = run(ground, {
      script: `inside 'echo more >> open/file; touch new; rm -r gone; mkdir gone; touch gone/new; stat -c "%u %g" new open/file'`,
    });
    assert.deepEqual(first, ['done', `${FIRST} ${FIRST}`, `${FIRST} ${FIRST}`]);
    // As they are inside.
    const upper = join(ground.layers, 'mounts/%2F/upper');
    for (const name of ['', 'new', 'open/file', 'gone']) {
      const { uid, gid } = lstatSync(join(upper, name));
      assert.deepEqual([uid, gid], [0, 0], name);
    }
    assert.equal(lstatSync(upper).mode & 0o7777, lstatSync(ground.root).mode & 0o7777);
    const second = run(ground, {
      first: OTHER,
      script: `inside 'cat open/file; ls gone; stat -c %u new; cat secret; rm new; echo again >> open/file; cat open/file'`,
    });
    assert.deepEqual(second, [
      'done',
      ...['host open/file', 'more', 'new', String(OTHER), "cat: can't open 'secret': Permission denied"],
      ...['host open/file', 'more', 'again'],
    ]);
  });

  it('has nothing that a later root could be led by', (t) => {
    const ground = makeGround(t);
    run(ground, {
      script: `inside 'mv open moved; mv gone/file gone/other; ln secret linked; rm -r other; mkdir other; ls moved'`,
    });
    const attributes = execFileSync('getfattr', ['-R', '-h', '-m', '-', join(ground.layers, 'mounts')], {
      encoding: 'utf8',
    });
    assert.match(attributes, /trusted\.overlay\.opaque/);
    assert.doesNotMatch(attributes, /redirect|metacopy|user\./);
  });

  it('is the same for root without ids of its own', (t) => {
    const ground = makeGround(t);
    run(ground, { first: 0, script: 'echo x > $view/open/new; chown 7:8 $view/open/new' });
    const { uid, gid } = lstatSync(join(ground.layers, 'mounts/%2F/upper/open/new'));
    assert.deepEqual([uid, gid], [7, 8]);
    assert.deepEqual(run(ground, { first: 0, script: 'stat -c "%u %g" $view/open/new' }), ['done', '7 8']);
  });

  for (const [how, first] of [
    ['with ids of its own', FIRST],
    ['for root without', 0],
  ] as const)
    it(`shows what the host has renamed, and not the copy of it, ${how}`, (t) => {
      const ground = makeGround(t);
      const { root, layers } = ground;
      const within = (script: string) =>
        first === 0 ? `chroot $view /bin/busybox sh -c '${script}'` : `inside '${script}'`;
      run(ground, { first, script: within('echo inside >> open/file; ln open/file open/linked') });
      const origins = execFileSync('getfattr', ['-R', '-h', '-m', 'origin', '-d', '-e', 'hex', layers], {
        encoding: 'utf8',
      });
      // Empty: it names no file.
      const ofFiles = origins.split('\n\n').filter((text) => text.includes('mounts/%2F/upper/open'));
      for (const text of ofFiles) assert.doesNotMatch(text, /origin=0x./, text);
      renameSync(join(root, 'open/file'), join(root, 'open/moved'));
      writeFileSync(join(root, 'open/file'), 'new\n');
      const script = 'cat open/moved; echo more >> open/moved; cat open/file; cat open/moved';
      assert.deepEqual(run(ground, { first: first === 0 ? 0 : OTHER, script: within(script) }), [
        'done',
        'host open/file',
        ...['host open/file', 'inside'],
        ...['host open/file', 'more'],
      ]);
    });

  it('makes an empty lock anew once, and leaves nothing beside it', (t) => {
    const ground = makeGround(t);
    writeFileSync(join(ground.root, 'open/lock'), '', { mode: 0o640 });
    const lock = join(ground.layers, 'mounts/%2F/upper/open/lock');
    const lay = (script: string) =>
      spawnSync(
        'unshare',
        wordsOf(ground, FIRST, `${LAY.replace('lay ', 'lay --empty /open/lock --empty /open/file ')}\n${script}`),
        { encoding: 'utf8' },
      ).stdout;
    assert.equal(lay(`inside 'echo x > open/.virt-sandbox-fresh-lock; : > open/lock && echo mine'`), 'done\nmine\n');
    const { ino, uid, mode } = lstatSync(lock);
    assert.deepEqual([uid, mode & 0o7777], [0, 0o640]);
    assert.equal(lay(`inside 'ls -A open'`), 'done\n.virt-sandbox-fresh-lock\nfile\nlock\n');
    assert.equal(lstatSync(lock).ino, ino);
  });

  it('has layers for each mount, whatever its name is', (t) => {
    const ground = makeGround(t);
    const name = 'below/a:b,c\\d e%';
    mkdirSync(join(ground.root, name));
    const before = `mount -t tmpfs -o mode=755 none "$view/${name}"; touch "$view/${name}/file"`;
    const lines = run(ground, { before, script: `inside 'cd "${name}"; ls; rm file; touch new'` });
    assert.deepEqual(lines, ['done', 'file']);
    assert.deepEqual(readdirSync(join(ground.layers, 'mounts')).sort(), ['%2F', '%2Fbelow%2Fa%3Ab%2Cc%5Cd%20e%25']);
    assert.deepEqual(run(ground, { before, script: `inside 'ls "${name}"'` }), ['done', 'new']);
    // Without the mount its directory is as the root has it.
    assert.deepEqual(run(ground, { script: `inside 'ls "${name}"'` }), ['done']);
  });

  it('keeps a mount read-only whose name is too long', (t) => {
    const ground = makeGround(t);
    const name = `below/${'n'.repeat(250)}`;
    mkdirSync(join(ground.root, name));
    const lines = run(ground, { before: `mount -t tmpfs none $view/${name}`, script: `inside 'touch ${name}/x'` });
    assert.match(lines.shift() ?? '', /^read-only \/below\/n+: File ?name too long$/);
    assert.match(lines.join(), /done,.*Read-only file system$/);
  });

  it('does not show a mount whose directory an earlier container has replaced', (t) => {
    const ground = makeGround(t);
    for (const link of ['/etc', '../../../../etc', 'other', '/dev']) {
      run(ground, { script: `inside 'rm -rf below; ln -s ${link} below'` });
      const before = 'mount -t tmpfs none $view/below; touch $view/below/shown';
      const lines = run(ground, {
        before,
        script: `inside 'ls other'; ls -d $view/below/shown 2>/dev/null || echo none`,
      });
      assert.deepEqual(lines, ['done', 'none'], link);
    }
    run(ground, { script: `inside 'rm below; echo x > below'` });
    assert.deepEqual(run(ground, { before: 'mount -t tmpfs none $view/below', script: `inside 'cat below'` }), [
      'done',
      'x',
    ]);
  });

  it('is one container’s at a time, for as long as a process of that one lives', async (t) => {
    const ground = makeGround(t);
    const holder = spawn('unshare', wordsOf(ground, FIRST, `${LAY}\nexec sleep 1000`), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(holder, 'exit');
    t.after(() => holder.kill('SIGKILL'));
    assert.equal(String((await once(holder.stdout, 'data'))[0]), 'done\n');
    const [refused, ...rest] = run(ground, { first: OTHER, script: `inside 'cat open/file'` });
    assert.match(refused ?? '', /^root-overlay: 16 cannot lock what is kept for /);
    assert.deepEqual(rest, ['host open/file']);
    holder.kill('SIGKILL');
    await ended;
    assert.deepEqual(run(ground, { first: OTHER, script: `inside 'ls open'` }), ['done', 'file']);
  });

  it('goes on as a copy elsewhere', (t) => {
    const ground = makeGround(t);
    run(ground, { script: `inside 'touch new; rm -r gone'` });
    const copy = `${ground.layers}-copy`;
    execFileSync('cp', ['-a', ground.layers, copy]);
    rmSync(ground.layers, { recursive: true });
    const moved = { ...ground, layers: copy };
    for (let times = 0; times < 2; times += 1)
      assert.deepEqual(run(moved, { script: `inside 'ls -d new gone'` }), [
        'done',
        'ls: gone: No such file or directory',
        'new',
      ]);
  });

  it('is not mounted where a layer is something else', (t) => {
    const ground = makeGround(t);
    run(ground, { script: '' });
    const upper = join(ground.layers, 'mounts/%2F/upper');
    rmSync(upper, { recursive: true });
    const victim = scratchDirectory(t);
    symlinkSync(victim, upper);
    const earlier = fingerprint(victim);
    const [refused] = run(ground, { script: `inside 'touch x; ls'` });
    assert.match(refused ?? '', /^root-overlay: 20 cannot lay an overlay over /);
    assert.equal(fingerprint(victim), earlier);
  });
});
