/** What libvirt has given to root at the end belongs to its owner again, and nothing else does. */
import assert from 'node:assert/strict';
import { chownSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { GivenDisks } from '../../../../src/sandbox/devices/given-disks.js';
import { QEMU_IDS } from '../../../../src/util/qemu-ids.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const OWNER = 4321;

function diskOf(t: TestContext, owner: number, readOnly = false) {
  const source = join(scratchDirectory(t), 'disk');
  writeFileSync(source, '');
  chownSync(source, owner, owner);
  return { serial: 'a', source, isBlock: false, format: 'raw', readOnly };
}

const ownersOf = (path: string) => [statSync(path).uid, statSync(path).gid];

describe('disks that libvirt gives away', { skip: process.geteuid?.() !== 0 && 'only root may change owners' }, () => {
  it('belong to their owner again where libvirt leaves them to root', (t) => {
    const disk = diskOf(t, OWNER);
    const kept = diskOf(t, OWNER);
    const readOnly = diskOf(t, OWNER, true);
    const killed = diskOf(t, QEMU_IDS.first);
    const given = new GivenDisks([disk, kept, readOnly, killed, { ...disk, source: '/missing' }]);
    for (const { source } of [disk, readOnly, killed]) chownSync(source, 0, 0);
    // Another sandbox has it.
    chownSync(kept.source, QEMU_IDS.first, 0);
    given.giveBack();
    assert.deepEqual(ownersOf(disk.source), [OWNER, OWNER]);
    assert.deepEqual(ownersOf(kept.source), [QEMU_IDS.first, 0]);
    for (const { source } of [readOnly, killed]) assert.deepEqual(ownersOf(source), [0, 0]);
  });

  it('are the files that were given, whatever is at their paths at the end', (t) => {
    const disk = diskOf(t, OWNER);
    const { source: secret } = diskOf(t, 0);
    const given = new GivenDisks([disk]);
    const moved = `${disk.source}.moved`;
    renameSync(disk.source, moved);
    symlinkSync(secret, disk.source);
    chownSync(moved, 0, 0);
    given.giveBack();
    assert.deepEqual(ownersOf(secret), [0, 0]);
    assert.deepEqual(ownersOf(moved), [OWNER, OWNER]);
  });
});
