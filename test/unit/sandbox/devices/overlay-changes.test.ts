/** What an overlay has changed, read from its upper layer: with names and trees as a hostile guest makes them. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { opaqueByAttribute } from '../../../../src/sandbox/devices/overlay-attributes.js';
import { overlayChanges } from '../../../../src/sandbox/devices/overlay-changes.js';
import { unlessProgram } from '../../../helpers/images.js';
import { unlessRoot } from '../../../helpers/scratch.js';

const skip = unlessRoot('it makes whiteouts') || unlessProgram('python3', 'mknod');
const OPAQUE = 'user.virtiofs.trusted.overlay.opaque';

interface Layers {
  /** The share. */
  readonly layers: string;
  readonly root: string;
  readonly upper: string;
}

/** /tmp may have no attributes. */
function layers(t: TestContext): Layers {
  const ground = mkdtempSync('/var/tmp/virt-sandbox-changes-');
  t.after(() => rmSync(ground, { recursive: true, force: true }));
  for (const name of ['root', 'upper']) mkdirSync(join(ground, name), { mode: 0o755 });
  return { layers: ground, root: join(ground, 'root'), upper: join(ground, 'upper') };
}

function make(directory: string, names: readonly string[]): void {
  for (const name of names) {
    if (name.endsWith('/')) mkdirSync(join(directory, name), { mode: 0o755 });
    else {
      writeFileSync(join(directory, name), 'same\n', { mode: 0o644 });
      utimesSync(join(directory, name), 1, 1);
    }
  }
}

const whiteout = (path: string) => execFileSync('mknod', [path, 'c', '0', '0']);

function setAttribute(path: string, value: string, name = OPAQUE): void {
  execFileSync('python3', [
    '-c',
    'import os,sys; os.setxattr(*sys.argv[1:3], sys.argv[3].encode())',
    path,
    name,
    value,
  ]);
}

async function changesOf(layers: Layers): Promise<string[]> {
  return overlayChanges(layers, opaqueByAttribute()).map(({ kind, path }) => `${kind} ${path}`);
}

test('names are added, changed and deleted, and directories with such in them are changed', { skip }, async (t) => {
  const all = layers(t);
  const { root, upper } = all;
  make(root, ['etc/', 'etc/same', 'etc/mode', 'etc/gone', 'etc/content', 'usr/', 'usr/bin/', 'usr/bin/tool', 'idle/']);
  make(upper, ['etc/', 'etc/same', 'etc/mode', 'etc/content', 'etc/new', 'usr/', 'usr/bin/', 'idle/', 'var/', 'var/x']);
  chmodSync(join(upper, 'etc/mode'), 0o600);
  writeFileSync(join(upper, 'etc/content'), 'other\n');
  whiteout(join(upper, 'etc/gone'));
  whiteout(join(upper, 'usr/bin/tool'));
  // The root has lost it since.
  whiteout(join(upper, 'usr/bin/never'));
  assert.deepEqual(await changesOf(all), [
    'C /etc',
    'C /etc/content',
    'D /etc/gone',
    'C /etc/mode',
    'A /etc/new',
    'C /usr',
    'C /usr/bin',
    'D /usr/bin/tool',
    'A /var',
    'A /var/x',
  ]);
});

test('an opaque directory hides all of the root’s, and only `y` makes one', { skip }, async (t) => {
  const all = layers(t);
  const { root, upper } = all;
  for (const name of ['one', 'two'])
    make(root, [`${name}/`, `${name}/sub/`, `${name}/sub/deep`, `${name}/gone/`, `${name}/gone/x`, `${name}/file`]);
  for (const name of ['one', 'two']) make(upper, [`${name}/`, `${name}/sub/`, `${name}/sub/new`]);
  setAttribute(join(upper, 'one'), 'y');
  setAttribute(join(upper, 'two'), 'x');
  assert.deepEqual(await changesOf(all), [
    'C /one',
    'D /one/file',
    'D /one/gone',
    'C /one/sub',
    'D /one/sub/deep',
    'A /one/sub/new',
    'C /two',
    'C /two/sub',
    'A /two/sub/new',
  ]);
});

test('what has another kind is changed, and no link is followed', { skip }, async (t) => {
  const all = layers(t);
  const { root, upper } = all;
  make(root, ['directory/', 'directory/x', 'file', 'target/', 'target/file']);
  symlinkSync('target', join(root, 'link'));
  make(upper, ['file/', 'file/inside', 'link/', 'link/file', 'directory']);
  // Of the root by its path, and of the host: neither is looked into.
  symlinkSync(root, join(upper, 'out'));
  symlinkSync('/etc', join(upper, 'target'));
  assert.deepEqual(await changesOf(all), [
    'C /directory',
    'C /file',
    'A /file/inside',
    'C /link',
    'A /link/file',
    'A /out',
    'C /target',
  ]);
});

test('names may be any bytes, and are sorted by them', { skip }, async (t) => {
  const all = layers(t);
  const { upper } = all;
  for (const name of ['\n', '\x1b[31m', 'é', '\xff', ' ', 'a', 'a-', '..a'])
    writeFileSync(Buffer.concat([Buffer.from(`${upper}/`), Buffer.from(name, 'latin1')]), '');
  mkdirSync(join(upper, 'a.d'));
  writeFileSync(join(upper, 'a.d/x'), '');
  const found = await changesOf(all);
  assert.deepEqual(found, [
    'A /\n',
    'A /\x1b[31m',
    'A / ',
    'A /..a',
    'A /a',
    'A /a-',
    'A /a.d',
    'A /a.d/x',
    'A /\udce9',
    'A /\udcff',
  ]);
});

test('directories without end are an error, not a crash', { skip }, async (t) => {
  const all = layers(t);
  const { root, upper } = all;
  const deep = (directory: string, depth: number) =>
    spawnSync('python3', [
      '-c',
      'import os,sys\nos.chdir(sys.argv[1])\nfor _ in range(int(sys.argv[2])):\n  os.mkdir("d")\n  os.chdir("d")',
      directory,
      String(depth),
    ]);
  deep(upper, 1000);
  deep(root, 1000);
  assert.deepEqual(await changesOf(all), []);
  mkdirSync(join(upper, 'e'));
  deep(join(upper, 'e'), 1100);
  await assert.rejects(() => changesOf(all), { code: 'overlay-too-deep' });
  // rmSync() calls itself for each directory.
  execFileSync('rm', ['-rf', upper, root]);
});

test('a link in the place of the layer is not followed', { skip }, async (t) => {
  const all = layers(t);
  rmSync(all.upper, { recursive: true });
  make(all.layers, ['secret/', 'secret/file']);
  symlinkSync(join(all.layers, 'secret'), all.upper);
  await assert.rejects(() => changesOf(all), { code: 'overlay-directory-damaged' });
});

test('a root that is gone is an error with a remedy', { skip }, async (t) => {
  const all = layers(t);
  rmSync(all.root, { recursive: true });
  await assert.rejects(() => changesOf(all), { code: 'overlay-root-gone', remedy: /overlay\.json/ });
});

test('directories that are moved meanwhile are an error with a remedy', { skip }, (t) => {
  const all = layers(t);
  const names = Array.from({ length: 40 }, (_, at) => `${'d/'.repeat(at)}d/`);
  make(all.upper, names);
  let asked = 0;
  const isOpaque = () => {
    asked += 1;
    if (asked === 40) renameSync(join(all.upper, 'd/d/d/d/d'), join(all.upper, 'moved'));
    return false;
  };
  assert.throws(() => overlayChanges(all, isOpaque), { code: 'overlay-unreadable', remedy: /has ended/ });
});

test('names without end are an error, whether they are changes or not', { skip }, (t) => {
  const all = layers(t);
  for (let at = 0; at < 20; at += 1) whiteout(join(all.upper, String(at)));
  const most = 30 * 70;
  assert.deepEqual(
    overlayChanges(all, () => false, most),
    [],
  );
  for (let at = 20; at < 40; at += 1) whiteout(join(all.upper, String(at)));
  assert.throws(() => overlayChanges(all, () => false, most), { code: 'overlay-too-large' });
});

test('a container has a layer for each mount, and the kernel’s own attributes', { skip }, async (t) => {
  const ground = layers(t);
  const { root } = ground;
  const layerOf = (name: string) => {
    const directory = join(ground.layers, 'mounts', name);
    mkdirSync(join(directory, 'upper'), { recursive: true, mode: 0o755 });
    return join(directory, 'upper');
  };
  make(root, ['etc/', 'etc/gone', 'srv/', 'srv/a b/', 'srv/a b/file', 'srv/a b/sub/', 'srv/a b/sub/x', 'idle/']);
  const top = layerOf('%2F');
  make(top, ['etc/', 'new']);
  whiteout(join(top, 'etc/gone'));
  const below = layerOf('%2Fsrv%2Fa%20b');
  make(below, ['sub/', 'sub/y']);
  whiteout(join(below, 'file'));
  setAttribute(join(below, 'sub'), 'y', 'trusted.overlay.opaque');
  layerOf('%2Fidle');
  make(layerOf('%2Fgone%2Fsince'), ['left']);
  // Whoever was killed has not made its layer.
  mkdirSync(join(ground.layers, 'mounts/%2Fhalf'));
  const found = overlayChanges({ ...ground, kind: 'container' }, opaqueByAttribute('container'));
  assert.deepEqual(
    found.map(({ kind, path }) => `${kind} ${path}`),
    [
      ...['C /etc', 'D /etc/gone', 'C /gone', 'C /gone/since', 'A /gone/since/left', 'A /new', 'C /srv', 'C /srv/a b'],
      ...['D /srv/a b/file', 'C /srv/a b/sub', 'D /srv/a b/sub/x', 'A /srv/a b/sub/y'],
    ],
  );
});

test('a container’s path is named once, and what its mount covers or nobody sees is left out', { skip }, (t) => {
  const ground = layers(t);
  const { root } = ground;
  const layerOf = (name: string) => {
    const directory = join(ground.layers, 'mounts', name, 'upper');
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    return directory;
  };
  make(root, ['data/', 'data/x', 'removed/', 'linked/']);
  const top = layerOf('%2F');
  make(top, ['data/', 'data/y']);
  for (const name of ['removed', 'data/x']) whiteout(join(top, name));
  symlinkSync('data', join(top, 'linked'));
  const mounted = layerOf('%2Fdata');
  make(mounted, ['x', 'y', 'z']);
  writeFileSync(join(mounted, 'x'), 'of another size');
  for (const name of ['%2Fremoved', '%2Flinked%2Fdeep']) make(layerOf(name), ['unseen']);
  // Copies that root has made.
  for (const name of ['%zz', '%2Fdata.bak~', '%2Fa%00b', 'data']) make(layerOf(name), ['unseen']);
  const found = overlayChanges({ ...ground, kind: 'container' }, () => false);
  assert.deepEqual(
    found.map(({ kind, path }) => `${kind} ${path}`),
    ['C /data', 'C /data/x', 'A /data/y', 'A /data/z', 'C /linked', 'D /removed'],
  );
});
