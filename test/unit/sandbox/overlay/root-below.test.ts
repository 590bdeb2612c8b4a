/** The root below an overlay, without what the sandbox never saw, cannot be read, or is gone. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Room, type UpperLayer } from '../../../../src/sandbox/overlay/layer.js';
import { Lower, type RootBelow } from '../../../../src/sandbox/overlay/root-below.js';
import { LayerReader } from '../../../../src/sandbox/overlay/sent-layer.js';
import { Walk } from '../../../../src/sandbox/overlay/walk.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { LEAVE, layerDirectory, layerRecord, whiteout } from '../../../helpers/layer-records.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

function tooLarge(): SandboxError {
  return new SandboxError({ stage: 'application', code: 'overlay-too-large', message: 'too large', remedy: 'none' });
}

function read(...stream: readonly Buffer[]): UpperLayer {
  const reader = new LayerReader(new Room(1 << 20, tooLarge));
  for (const piece of [...stream, LEAVE]) reader.push(piece);
  return reader.end();
}

/** `home/.ssh/id` and `home/file`. */
function makeRoot(t: TestContext): string {
  const root = scratchDirectory(t);
  for (const name of ['home', 'home/.ssh', 'home/sub', 'home/sub/deep']) mkdirSync(join(root, name), { mode: 0o755 });
  for (const name of ['home/.ssh/id', 'home/file', 'home/sub/deep/x']) writeFileSync(join(root, name), '');
  chmodSync(root, 0o755);
  return root;
}

interface Seen extends Partial<Omit<RootBelow, 'path'>> {
  readonly start?: string;
  readonly hasRedirects?: boolean;
}

function changesOf(layer: UpperLayer, root: string, { start = '', hasRedirects = true, ...seen }: Seen = {}): string[] {
  const walk = new Walk({ room: new Room(1 << 20, tooLarge), hasOwners: false, hasRedirects });
  const below = { path: root, hidden: new Set<string>(), foreign: new Set<string>(), ...seen };
  const lower = Lower.open(below, start.split('/').slice(1));
  try {
    walk.compare(layer, lower, start);
  } finally {
    lower?.close();
  }
  return walk.sorted().map((change) => `${change.kind} ${change.path}`);
}

const moved = [whiteout('home'), layerDirectory('next', [], '/home')];
const IDS = ['A /next/.ssh/id'];
const ALL = ['D /home', 'A /next', 'A /next/.ssh', ...IDS, 'A /next/file', 'A /next/sub', 'A /next/sub/deep'];
const DEEP = ['A /next/sub/deep/x'];

test('what is hidden counts as empty, wherever it was moved to', (t) => {
  const root = makeRoot(t);
  const hidden = new Set(['/home/.ssh']);
  assert.deepEqual(changesOf(read(...moved), root), [...ALL, ...DEEP]);
  const without = [...ALL, ...DEEP].filter((line) => !IDS.includes(line));
  assert.deepEqual(changesOf(read(...moved), root, { hidden }), without);
  // Removed, and made again.
  const again = layerDirectory('home', [layerDirectory('.ssh', [], '.')]);
  assert.deepEqual(changesOf(read(again), root), ['C /home', 'C /home/.ssh', 'D /home/.ssh/id']);
  assert.deepEqual(changesOf(read(again), root, { hidden }), []);
  // The sandbox saw an empty one, and has removed it.
  assert.deepEqual(changesOf(read(layerDirectory('home', [whiteout('.ssh')])), root, { hidden }), [
    'C /home',
    'D /home/.ssh',
  ]);
  assert.deepEqual(changesOf(read(layerDirectory('led', [], '/home/.ssh')), root, { hidden }), ['A /led']);
  const relative = layerDirectory('home', [layerDirectory('led', [], '.ssh')]);
  assert.deepEqual(changesOf(read(relative), root, { hidden }), ['C /home', 'A /home/led']);
});

test('what others answer for is not even looked at', (t) => {
  const root = makeRoot(t);
  const foreign = new Set(['/home/sub']);
  const found = changesOf(read(...moved), root, { foreign });
  assert.deepEqual(found, ['D /home', 'A /next', 'A /next/.ssh', ...IDS, 'A /next/file', 'A /next/sub']);
  // It is there, and as it was.
  assert.deepEqual(changesOf(read(layerDirectory('home', [layerDirectory('sub', [])])), root, { foreign }), []);
  assert.deepEqual(changesOf(read(layerDirectory('home', [whiteout('sub')])), root, { foreign }), [
    'C /home',
    'D /home/sub',
  ]);
  assert.deepEqual(changesOf(read(layerDirectory('led', [], '/home/sub/deep')), root, { foreign }), ['A /led']);
});

test('a container has not seen what its reader may not read', { skip: unlessRoot('of other users') }, (t) => {
  const root = makeRoot(t);
  const closed = join(root, 'home/sub');
  const of = (uid: number, gid: number, mode: number, reader: RootBelow['reader']) => {
    chownSync(closed, uid, gid);
    chmodSync(closed, mode);
    return changesOf(read(...moved), root, { reader });
  };
  const [seen, unseen] = [[...ALL, ...DEEP], ALL.filter((line) => line !== 'A /next/sub/deep')];
  const nobody = { gids: [] };
  assert.deepEqual(of(0, 0, 0o755, nobody), seen);
  for (const mode of [0o700, 0o711, 0o744, 0o770]) assert.deepEqual(of(0, 0, mode, nobody), unseen);
  assert.deepEqual(of(65_534, 65_534, 0o770, nobody), unseen);
  assert.deepEqual(of(7, 8, 0o700, { uid: 7, gids: [] }), seen);
  assert.deepEqual(of(7, 8, 0o077, { uid: 7, gids: [8] }), unseen);
  assert.deepEqual(of(9, 8, 0o750, { uid: 7, gids: [8] }), seen);
  assert.deepEqual(of(9, 8, 0o750, { uid: 7, gids: [10] }), unseen);
  assert.deepEqual(of(9, 8, 0o700, undefined), seen);
});

test('a mount that is gone, or has become a link, counts as empty', (t) => {
  const root = makeRoot(t);
  symlinkSync('home', join(root, 'link'));
  const layer = () => read(layerRecord({ name: 'new' }), whiteout('file'));
  assert.deepEqual(changesOf(layer(), root, { start: '/home' }), ['C /home', 'D /home/file', 'A /home/new']);
  for (const start of ['/gone', '/link', '/home/file'])
    assert.deepEqual(changesOf(layer(), root, { start }), [
      ...(start === '/home/file' ? ['C /home'] : []),
      `C ${start}`,
      `A ${start}/new`,
    ]);
  // What is on the way may be covered, as /run is, and what is a mount of the kernel's may not.
  const hidden = new Set(['/home']);
  const sub = read(whiteout('deep'));
  const changed = ['C /home', 'C /home/sub', 'D /home/sub/deep'];
  assert.deepEqual(changesOf(sub, root, { start: '/home/sub', hidden }), changed);
  assert.deepEqual(changesOf(sub, root, { start: '/home/sub', foreign: hidden }), []);
  assert.throws(() => changesOf(layer(), join(root, 'none')), { code: 'ENOENT' });
});

test('redirects of an overlay that follows none lead nowhere', (t) => {
  assert.deepEqual(changesOf(read(...moved), makeRoot(t), { hasRedirects: false }), ['D /home', 'A /next']);
});
