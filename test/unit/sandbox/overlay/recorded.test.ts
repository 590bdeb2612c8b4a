/** What is on record of an overlay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestConfig } from '../../../../init/common/config.js';
import { recordedOverlay } from '../../../../src/sandbox/overlay/recorded.js';
import { record } from '../../control/a-record.js';

const HIDDEN = ['/root/.ssh'];
const guest: GuestConfig = record.guest;
const isRoot = process.geteuid?.() === 0;
const topmost = { mode: 0o755, uid: 0, gid: 0 };
const share = { type: 'virtiofs', tag: 'root', readOnly: true } as const;
const rootOverlay = { program: '/root-overlay', bytes: 1 << 20 };
const range = [{ inside: 0, outside: 65_536, count: 65_536 }];
const idMap = { uids: range, gids: range };
const root = { ...guest.identity, uid: 0 };

test('what is inside is on record, and what the host keeps is not', () => {
  assert.equal(
    recordedOverlay(guest, () => HIDDEN),
    undefined,
  );
  assert.equal(
    recordedOverlay({ ...guest, overlay: { type: 'virtiofs', tag: 'overlay' } }, () => HIDDEN),
    undefined,
  );
  for (const [overlay, hasRedirects] of [
    [{ type: 'ram', ...topmost }, true],
    // It is mounted with redirect_dir=nofollow.
    [{ type: 'image', serial: 'overlay', ...topmost }, false],
  ] as const)
    assert.deepEqual(
      recordedOverlay({ ...guest, overlay }, () => HIDDEN),
      { hasOwners: true, hasRedirects, hidden: HIDDEN },
    );
});

test('owners count where the sandbox sees them', () => {
  const overlay = { type: 'ram', ...topmost } as const;
  const hasOwners = (type: 'virtiofs' | '9p') =>
    recordedOverlay({ ...guest, root: { ...share, type }, overlay }, () => [])?.hasOwners;
  assert.deepEqual([hasOwners('virtiofs'), hasOwners('9p')], [isRoot, true]);
});

test('a container is read as nobody by root, whose owners are shifted, and as itself by any other user', () => {
  const container: GuestConfig = { ...guest, platform: 'container', rootOverlay };
  const found = (rest: Partial<GuestConfig>) => recordedOverlay({ ...container, ...rest }, () => HIDDEN);
  const all = { hasOwners: true, hasRedirects: true, hidden: HIDDEN };
  assert.deepEqual(found({}), all);
  const user = { ...guest.identity, uid: 1000, gid: 100, groups: [100, 27] };
  // Of an image root inside reads all, and every user is one of the container's.
  for (const identity of [root, user])
    assert.deepEqual(found({ idMap, identity, ociRoot: true }), { ...all, ids: idMap });
  assert.deepEqual(found({ idMap, identity: root }), { ...all, reader: { gids: [] }, ids: idMap });
  const own = [{ inside: 100, outside: 100, count: 1 }];
  assert.deepEqual(found({ idMap: { uids: range, gids: own }, identity: user }), {
    ...all,
    reader: { uid: 1000, gids: [100, 100] },
  });
});
