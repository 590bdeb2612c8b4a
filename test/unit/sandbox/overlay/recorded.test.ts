/** What is on record of an overlay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestConfig } from '../../../../init/common/config.js';
import { recordedOverlay } from '../../../../src/sandbox/overlay/recorded.js';
import { record } from '../../control/a-record.js';

const guest: GuestConfig = record.guest;
const isRoot = process.geteuid?.() === 0;
const topmost = { mode: 0o755, uid: 0, gid: 0 };
const share = { type: 'virtiofs', tag: 'root', readOnly: true } as const;
const rootOverlay = { program: '/root-overlay', bytes: 1 << 20 };
const range = [{ inside: 0, outside: 65_536, count: 65_536 }];
const idMap = { uids: range, gids: range };
const root = { ...guest.identity, uid: 0 };

test('what is inside is on record, and what the host keeps is not', () => {
  assert.equal(recordedOverlay(guest), undefined);
  assert.equal(recordedOverlay({ ...guest, overlay: { type: 'virtiofs', tag: 'overlay' } }), undefined);
  for (const overlay of [
    { type: 'ram', ...topmost },
    { type: 'image', serial: 'overlay', ...topmost },
  ] as const)
    assert.deepEqual(recordedOverlay({ ...guest, overlay }), { hasOwners: true });
});

test('owners count where the sandbox sees them', () => {
  const overlay = { type: 'ram', ...topmost } as const;
  assert.deepEqual(recordedOverlay({ ...guest, root: share, overlay }), { hasOwners: isRoot });
  assert.deepEqual(recordedOverlay({ ...guest, root: { ...share, type: '9p' }, overlay }), { hasOwners: true });
});

test('owners are shifted for root in a container, and for nobody else', () => {
  const container: GuestConfig = { ...guest, platform: 'container', rootOverlay };
  assert.deepEqual(recordedOverlay(container), { hasOwners: true });
  assert.deepEqual(recordedOverlay({ ...container, idMap }), { hasOwners: true });
  assert.deepEqual(recordedOverlay({ ...container, idMap, identity: root }), { hasOwners: true, ids: idMap });
});
