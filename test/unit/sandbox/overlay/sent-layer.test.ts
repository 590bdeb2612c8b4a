/** What a sandbox sends of its upper layer, and what it has changed by that: a guest may send anything. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ProtocolError } from '../../../../src/protocol/fields.js';
import type { IdMap } from '../../../../src/protocol/operations.js';
import { Room, type UpperLayer } from '../../../../src/sandbox/overlay/layer.js';
import { Lower } from '../../../../src/sandbox/overlay/root-below.js';
import { LayerReader } from '../../../../src/sandbox/overlay/sent-layer.js';
import { rootBelow } from '../../../../src/sandbox/overlay/unseen.js';
import { Walk } from '../../../../src/sandbox/overlay/walk.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { LEAVE, layerDirectory, layerRecord, whiteout } from '../../../helpers/layer-records.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const OWNER = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

function tooLarge(): SandboxError {
  return new SandboxError({ stage: 'application', code: 'overlay-too-large', message: 'too large', remedy: 'none' });
}

function read(stream: readonly Buffer[], { most = 1 << 20, ids }: { most?: number; ids?: IdMap } = {}): UpperLayer {
  const reader = new LayerReader(new Room(most, tooLarge), ids);
  for (const piece of stream) reader.push(piece);
  return reader.end();
}

/** Directories end with a slash. Files are of the time 1. */
function makeRoot(t: TestContext, names: readonly string[]): string {
  const root = scratchDirectory(t);
  for (const name of names) {
    if (name.endsWith('/')) mkdirSync(join(root, name), { mode: 0o755 });
    else {
      writeFileSync(join(root, name), '', { mode: 0o644 });
      utimesSync(join(root, name), 1, 1);
    }
  }
  return root;
}

function changesOf(layer: UpperLayer, root: string, { hasOwners = true, path = '', most = 1 << 20 } = {}): string[] {
  const walk = new Walk({ room: new Room(most, tooLarge), hasOwners });
  const below = Lower.open(rootBelow(root));
  try {
    walk.compare(layer, below, path);
  } finally {
    below?.close();
  }
  return walk.sorted().map((change) => `${change.kind} ${change.path}`);
}

const own = (name: string, rest = {}) => layerRecord({ name, ...OWNER, ...rest });
/** With {@link hasOwners} false: directories of the stream are root's. */
const anyOwner = { hasOwners: false };

test('names are added, changed and deleted, in any pieces of the stream', (t) => {
  const root = makeRoot(t, ['etc/', 'etc/same', 'etc/gone', 'etc/mode', 'etc/time', 'etc/size', 'idle/', 'idle/x']);
  symlinkSync('here', join(root, 'link'));
  const etc = [own('same'), whiteout('gone'), whiteout('never'), own('mode', { mode: 0o100600 })];
  const files = [own('time', { modified: 2n }), own('size', { size: 1n }), own('new')];
  const link = layerRecord({ name: 'link', mode: 0o120777, target: 'there', size: 4n });
  const stream = [layerDirectory('etc', [...etc, ...files]), layerDirectory('idle', []), link, LEAVE];
  const expected = ['C /etc', 'D /etc/gone', 'C /etc/mode', 'A /etc/new', 'C /etc/size', 'C /etc/time', 'C /link'];
  assert.deepEqual(changesOf(read(stream), root, anyOwner), expected);
  const bytes = Buffer.concat(stream);
  const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  assert.deepEqual(changesOf(read(single), root, anyOwner), expected);
});

test('an opaque directory hides all of the root’s', (t) => {
  const root = makeRoot(t, ['one/', 'one/file', 'one/sub/', 'one/sub/deep', 'two/', 'two/file']);
  const sub = layerDirectory('sub', [own('new')]);
  const stream = [layerDirectory('one', [sub], '.'), layerDirectory('two', [own('x')]), LEAVE];
  assert.deepEqual(changesOf(read(stream), root, anyOwner), [
    'C /one',
    'D /one/file',
    'C /one/sub',
    'D /one/sub/deep',
    'A /one/sub/new',
    'C /two',
    'A /two/x',
  ]);
});

test('a directory that was renamed has all that is in it added', (t) => {
  const root = makeRoot(t, ['a/', 'a/doc/', 'a/doc/one', 'a/doc/sub/', 'a/doc/sub/two', 'a/doc/sub/three']);
  const renamed = layerDirectory(
    'moved',
    [whiteout('one'), layerDirectory('sub', [own('new'), whiteout('two')])],
    '/a/doc',
  );
  const beside = layerDirectory('a', [whiteout('doc'), layerDirectory('next', [], 'doc')]);
  const moved = ['A /moved', 'A /moved/sub', 'A /moved/sub/new', 'A /moved/sub/three'];
  const next = ['A /a/next', 'A /a/next/one', 'A /a/next/sub', 'A /a/next/sub/three', 'A /a/next/sub/two'];
  assert.deepEqual(changesOf(read([renamed, beside, LEAVE]), root, anyOwner), ['C /a', 'D /a/doc', ...next, ...moved]);
});

test('a directory of the root may have been moved into one that is new', (t) => {
  const root = makeRoot(t, ['a/', 'a/doc/', 'a/doc/one']);
  const stream = [
    layerDirectory('new', [layerDirectory('doc', [], '/a/doc')]),
    layerDirectory('a', [whiteout('doc')]),
    LEAVE,
  ];
  assert.deepEqual(changesOf(read(stream), root, anyOwner), [
    'C /a',
    'D /a/doc',
    'A /new',
    'A /new/doc',
    'A /new/doc/one',
  ]);
});

test('one that took the place of another is compared with that', (t) => {
  const root = makeRoot(t, ['a/', 'a/same', 'a/old', 'b/', 'b/same', 'b/new', 'b/file', 'a/file/']);
  const stream = [layerDirectory('a', [], '/b'), whiteout('b'), LEAVE];
  assert.deepEqual(changesOf(read(stream), root, anyOwner), ['C /a', 'C /a/file', 'A /a/new', 'D /a/old', 'D /b']);
});

test('a redirect leads nowhere but below the root, and through no link', (t) => {
  const outside = makeRoot(t, ['secret']);
  const root = makeRoot(t, ['a/', 'a/x', 'file']);
  symlinkSync(outside, join(root, 'link'));
  const marks = ['..', '/..', '/../..', '/a/..', '/link', 'link', '/', '//', '/a/', 'a/x', '/file', '/none', '/a/.'];
  const long = [`/${'n'.repeat(4000)}`, '/a'.repeat(2000)];
  const stream = [...marks, ...long].map((mark, at) => layerDirectory(`d${at}`, [], mark));
  assert.deepEqual(changesOf(read([...stream, LEAVE]), root, anyOwner), stream.map((_, at) => `A /d${at}`).sort());
});

test('redirects of everything are bounded', (t) => {
  const root = makeRoot(t, ['a/', ...Array.from({ length: 50 }, (_, at) => `a/file-${at}`)]);
  const stream = Array.from({ length: 100 }, (_, at) => layerDirectory(`d${at}`, [], '/a'));
  const layer = read([...stream, LEAVE]);
  assert.throws(() => changesOf(layer, root, { ...anyOwner, most: 100_000 }), { code: 'overlay-too-large' });
});

test('owners are those of the root, where the layer has others', (t) => {
  const root = makeRoot(t, ['file', 'other']);
  const outside = 1_000_000;
  const range = { inside: 0, outside, count: 65_536 };
  const ids = { uids: [range], gids: [range] };
  const shifted = { uid: outside + OWNER.uid, gid: outside + OWNER.gid };
  const stream = [own('file', shifted), own('other', { ...shifted, uid: outside + OWNER.uid + 1 }), LEAVE];
  assert.deepEqual(changesOf(read(stream, { ids }), root), ['C /other']);
  assert.deepEqual(changesOf(read(stream), root), ['C /file', 'C /other']);
  assert.deepEqual(changesOf(read(stream), root, anyOwner), []);
});

test('a mount is below its path, and changes what it is in', (t) => {
  const root = makeRoot(t, ['x']);
  assert.deepEqual(changesOf(read([whiteout('x'), LEAVE]), root, { path: '/srv/a b' }), [
    'C /srv',
    'C /srv/a b',
    'D /srv/a b/x',
  ]);
  assert.deepEqual(changesOf(read([own('x'), LEAVE]), root, { path: '/srv/a b' }), []);
});

test('names may be any bytes', (t) => {
  const root = makeRoot(t, []);
  const names = ['\n', '\x1b[31m', '\xff', '\xc3\xa9', ' ', '..a'];
  assert.deepEqual(changesOf(read([...names.map((name) => own(name)), LEAVE]), root), [
    'A /\n',
    'A /\x1b[31m',
    'A / ',
    'A /..a',
    'A /é',
    'A /\udcff',
  ]);
});

test('what is no tree is an error', () => {
  const streams = {
    nothing: [],
    'no end': [own('a')],
    'no end of a directory': [layerRecord({ name: 'a', mode: 0o040755 }), LEAVE],
    'more behind it': [LEAVE, own('a')],
    'two ends': [LEAVE, LEAVE],
    'half a record': [LEAVE.subarray(0, 20)],
    'a slash': [own('a/b'), LEAVE],
    dots: [own('..'), LEAVE],
    dot: [own('.'), LEAVE],
    'a NUL': [own('a\0'), LEAVE],
    'a long name': [own('n'.repeat(256)), LEAVE],
    'a long target': [layerRecord({ name: 'a', target: 't'.repeat(4097) }), LEAVE],
    'a NUL in a target': [layerRecord({ name: 'a', target: 't\0' }), LEAVE],
    'a record without end': [Buffer.alloc(8, 0xff)],
    'a record that is none': [Buffer.from([0, 0, 0, 4, 0, 0, 0, 0])],
  };
  for (const [name, stream] of Object.entries(streams)) assert.throws(() => read(stream), ProtocolError, name);
});

test('layers without end are errors', () => {
  const deep = layerRecord({ name: 'd', mode: 0o040755 });
  const reader = new LayerReader(new Room(1 << 30, tooLarge));
  assert.throws(
    () => {
      for (let at = 0; at < 1100; at += 1) reader.push(deep);
    },
    { code: 'overlay-too-deep' },
  );
  const wide = new LayerReader(new Room(1 << 20, tooLarge));
  assert.throws(
    () => {
      for (let at = 0; at < 10_000; at += 1) wide.push(own(`n${at}`));
    },
    { code: 'overlay-too-large' },
  );
});

test('a name that is sent twice is there once', (t) => {
  const root = makeRoot(t, ['a', 'd/', 'd/x']);
  const stream = [own('a'), whiteout('a'), layerDirectory('d', [own('y')]), layerDirectory('d', []), LEAVE];
  assert.deepEqual(changesOf(read(stream), root, anyOwner), ['D /a']);
});
