/** The directory that keeps an overlay: what it is made of, and which are refused. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Root } from '../../../../src/config/types.js';
import {
  checkOverlayDirectory,
  keptOverlay,
  layersOf,
  makeOverlayDirectory,
} from '../../../../src/sandbox/devices/overlay-directory.js';
import { OVERLAY_KINDS, type OverlayKind } from '../../../../src/sandbox/devices/overlay-record.js';
import { mountGround } from '../../../helpers/mount-point.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const NOBODY = 65_534;
const TOPMOST = { mode: 0o1751, uid: 7, gid: 8 };
const ROOT: { readonly root: Root; readonly kind?: OverlayKind } = { root: { type: 'directory', path: '/' } };

function made(t: TestContext): string {
  const directory = join(scratchDirectory(t, WITH_ATTRIBUTES), 'kept');
  makeOverlayDirectory(directory, ROOT, TOPMOST);
  return directory;
}

function refuses(directory: string, code: string, remedy: RegExp, config = ROOT): void {
  for (const use of [
    () => checkOverlayDirectory(directory, config),
    () => makeOverlayDirectory(directory, config, TOPMOST),
  ])
    assert.throws(use, { code, remedy });
}

describe('the directory of an overlay', { skip: unlessRoot('it belongs to root') }, () => {
  it('is made where it is missing, closed to others, and its upper directory is as the root', (t) => {
    const old = process.umask(0o077);
    t.after(() => process.umask(old));
    const directory = made(t);
    assert.equal(lstatSync(directory).mode & 0o7777, 0o700);
    const { mode, uid, gid } = lstatSync(join(directory, 'layers/upper'));
    assert.deepEqual([mode & 0o7777, uid, gid], [0o1751, 7, 8]);
    assert.deepEqual(readdirSync(directory).sort(), ['layers', 'overlay.json']);
    const record: unknown = JSON.parse(readFileSync(join(directory, 'overlay.json'), 'utf8'));
    assert.deepEqual(record, { version: 1, root: '/', kind: 'machine' });
  });

  it('has other layers for containers, and is nothing for sandboxes of another kind', (t) => {
    for (const kind of OVERLAY_KINDS) {
      const directory = join(scratchDirectory(t, WITH_ATTRIBUTES), 'kept');
      makeOverlayDirectory(directory, { ...ROOT, kind }, TOPMOST);
      makeOverlayDirectory(directory, { ...ROOT, kind }, TOPMOST);
      const layers = readdirSync(join(directory, 'layers')).sort();
      assert.deepEqual(layers, kind === 'machine' ? ['upper', 'work'] : ['mounts']);
      assert.equal(keptOverlay(directory)?.kind, kind);
      for (const other of OVERLAY_KINDS)
        if (other !== kind) refuses(directory, 'overlay-of-other-kind', /another directory/, { ...ROOT, kind: other });
    }
  });

  it('is a machine’s, if its record does not say whose', (t) => {
    const directory = made(t);
    writeFileSync(join(directory, 'overlay.json'), '{"version":1,"root":"/"}');
    assert.equal(keptOverlay(directory)?.kind, 'machine');
    refuses(directory, 'overlay-of-other-kind', /another directory/, { ...ROOT, kind: 'container' });
  });

  it('keeps what a sandbox has made of it', (t) => {
    const directory = made(t);
    const upper = join(directory, 'layers/upper');
    chmodSync(upper, 0o700);
    writeFileSync(join(upper, 'file'), 'kept');
    makeOverlayDirectory(`${directory}/`, ROOT, TOPMOST);
    assert.equal(lstatSync(upper).mode & 0o7777, 0o700);
    assert.equal(readFileSync(join(upper, 'file'), 'utf8'), 'kept');
  });

  it('is completed after an attempt that was interrupted anywhere', (t) => {
    const directory = made(t);
    const left = ['overlay.json', 'layers/upper', 'layers/work', 'layers'];
    for (const name of left) {
      rmSync(join(directory, name), { recursive: true });
      writeFileSync(join(directory, 'overlay.json.new'), '{"ver');
      checkOverlayDirectory(directory, ROOT);
    }
    makeOverlayDirectory(directory, ROOT, TOPMOST);
    assert.deepEqual(readdirSync(directory).sort(), ['layers', 'overlay.json']);
    assert.equal(lstatSync(join(directory, 'layers/upper')).uid, 7);
  });

  it('is nothing that a check makes', (t) => {
    const directory = join(scratchDirectory(t, WITH_ATTRIBUTES), 'kept');
    checkOverlayDirectory(directory, ROOT);
    assert.equal(existsSync(directory), false);
  });

  it('is found by a path without links', (t) => {
    const directory = made(t);
    const link = join(scratchDirectory(t, WITH_ATTRIBUTES), 'link');
    symlinkSync(directory, link);
    assert.equal(layersOf(link), join(directory, 'layers'));
    symlinkSync(join(directory, '..'), `${link}-above`);
    assert.equal(layersOf(`${link}-above/new/`), join(directory, '../new/layers'));
  });

  it('is refused if others may enter it, own it, or put another one in its place', (t) => {
    const directory = made(t);
    chmodSync(directory, 0o710);
    refuses(directory, 'overlay-directory-unsafe', /chmod 700/);
    chmodSync(directory, 0o700);
    chownSync(directory, NOBODY, 0);
    refuses(directory, 'overlay-directory-unsafe', /\/var\/lib/);
    chownSync(directory, 0, 0);
    const above = join(directory, '..');
    for (const [mode, uid] of [
      [0o777, 0],
      [0o775, 0],
      [0o755, NOBODY],
    ] as const) {
      chmodSync(above, mode);
      chownSync(above, uid, NOBODY);
      refuses(directory, 'overlay-directory-unsafe', /\/var\/lib/);
    }
    chownSync(above, 0, 0);
    // As /tmp is: nobody else can rename what is root's.
    chmodSync(above, 0o1777);
    checkOverlayDirectory(directory, ROOT);
  });

  it('is refused if a link of another user is on the way, or one that others may replace', (t) => {
    const directory = made(t);
    const ground = scratchDirectory(t, WITH_ATTRIBUTES);
    const link = join(ground, 'link');
    symlinkSync(directory, link);
    checkOverlayDirectory(link, ROOT);
    lchownSync(link, NOBODY, NOBODY);
    refuses(link, 'overlay-directory-unsafe', /\/var\/lib/);
    // What is above, and a directory that is not there yet.
    const above = join(ground, 'above');
    symlinkSync(join(directory, '..'), above);
    lchownSync(above, NOBODY, NOBODY);
    for (const name of ['kept', 'new']) refuses(join(above, name), 'overlay-directory-unsafe', /\/var\/lib/);
    lchownSync(above, 0, 0);
    checkOverlayDirectory(join(above, 'new'), ROOT);
    // A link of root's where another user may put another one.
    chownSync(ground, NOBODY, NOBODY);
    refuses(join(above, 'kept'), 'overlay-directory-unsafe', /\/var\/lib/);
    chownSync(ground, 0, 0);
    assert.deepEqual(readdirSync(join(directory, '..')), ['kept']);
  });

  it('is refused if it is no directory, its parent is missing, or something else is in it', (t) => {
    const ground = scratchDirectory(t, WITH_ATTRIBUTES);
    writeFileSync(join(ground, 'file'), '');
    refuses(join(ground, 'file'), 'overlay-directory-unsafe', /name a directory/);
    refuses(join(ground, 'missing/kept'), 'overlay-parent-missing', /mkdir -p/);
    mkdirSync(join(ground, 'used'), { mode: 0o700 });
    writeFileSync(join(ground, 'used/file'), '');
    refuses(join(ground, 'used'), 'overlay-directory-foreign', /empty directory/);
    // Nobody is told to close a directory that is something else.
    chmodSync(join(ground, 'used'), 0o755);
    refuses(join(ground, 'used'), 'overlay-directory-foreign', /empty directory/);
    assert.deepEqual(readdirSync(join(ground, 'used')), ['file']);
    mkdirSync(join(ground, 'empty'), { mode: 0o755 });
    refuses(join(ground, 'empty'), 'overlay-directory-unsafe', /chmod 700/);
  });

  it('is refused if a guest has put something in the place of its layers', (t) => {
    const directory = made(t);
    for (const name of ['layers/upper', 'layers/work', 'layers']) {
      const path = join(directory, name);
      renameSync(path, `${directory}-aside`);
      refuses(directory, 'overlay-directory-damaged', /another directory/);
      for (const target of ['/', `${directory}-aside`]) {
        symlinkSync(target, path);
        refuses(directory, 'overlay-directory-damaged', /another directory/);
        rmSync(path);
      }
      writeFileSync(path, '');
      refuses(directory, 'overlay-directory-damaged', /another directory/);
      rmSync(path);
      renameSync(`${directory}-aside`, path);
    }
    checkOverlayDirectory(directory, ROOT);
  });

  it('is not on a file system without extended attributes, and leaves nothing there', (t) => {
    const ground = mountGround(t);
    execFileSync('mount', ['-t', 'ramfs', 'ramfs', ground]);
    mkdirSync(join(ground, 'empty'), { mode: 0o700 });
    for (const name of ['new', 'empty'])
      assert.throws(() => makeOverlayDirectory(join(ground, name), ROOT, TOPMOST), {
        code: 'overlay-without-attributes',
        remedy: /ext4/,
      });
    assert.deepEqual(readdirSync(ground, { recursive: true }), ['empty']);
  });

  it('belongs to one root', (t) => {
    const directory = made(t);
    const root = join(directory, '../root');
    mkdirSync(root);
    refuses(directory, 'overlay-of-other-root', /--root \/ /, { root: { type: 'directory', path: root } });
    for (const text of [
      '',
      '{}',
      '{"version":2,"root":"/"}',
      '{"version":1,"root":5}',
      '{"version":1,"root":"/","kind":"x"}',
    ]) {
      writeFileSync(join(directory, 'overlay.json'), text);
      refuses(directory, 'overlay-directory-damaged', /another directory/);
    }
    rmSync(join(directory, 'overlay.json'));
    symlinkSync('/etc/hostname', join(directory, 'overlay.json'));
    refuses(directory, 'overlay-directory-damaged', /another directory/);
    rmdirSync(root);
  });
});
