/** Services in containers with a bound, on a disk of the host that gets full. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { BoundedState, boundedService } from '../helpers/bounded.js';
import { besideLxc, lxc } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { smallDisk } from '../helpers/lxc-disk.js';
import { removeServices } from '../helpers/making-services.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { createdService, serviceOf, TestService } from '../helpers/services.js';

/** It has no room for a directory of the overlay's, which each start makes: as the mount, or as what is replayed for it. */
const NO_START =
  /has become read-only, since its disk has no room, or failed: .*; make room, and start it again|cannot be mounted/;

/** Changes a file that is there already, with more transactions than a start makes. */
const CHANGES = 'for i in $(seq 200); do touch -d @$i /srv/kept && sync /srv/kept || exit 1; done';

const SCRIPT = 'exec sleep 1000';

const READ_ONLY =
  /^ {2}state {5}read-only since its disk had no room, or failed: make room, and then .* restart test-/m;

/**
 * The kernel says of a file system that it cannot write what the first error is, and EROFS afterwards. It may find that out
 * when the file is there: then the drafts cannot be removed. What the first upgrade has left in the journal may need a block
 * before the second one can mount it.
 */
const NO_ROOM = new RegExp(
  '(?:etc/keys/key" of the service cannot be replaced|layers/upgrade" for copies of files of the host cannot be) .*: ' +
    'E(?:NOSPC|IO|ROFS): .*; (?:make room there|see whether the disk)|' +
    'which bounds the state, cannot be mounted: .*; make room if its disk is full',
);

/** Bytes that take more than a full disk has. */
const MANY = 10 << 20;

/** Writes them, and says what does not work. */
const MUCH = `{ head -c ${MANY} /dev/urandom >/srv/much; sync; touch /srv/new; } 2>&1 || true`;

describe('the bound of a state, on a full disk', { skip: lxc.skip }, () => {
  it('is written while nothing new is, is read-only then, and has what was synced when there is room again', async (t) => {
    const disk = smallDisk(t, '48M');
    const service = await serviceOf(t, lxc, { options: ['-p', disk.path, '-i', '150'], script: SCRIPT, isKept: true });
    const state = new BoundedState(disk.path, service.name);
    await service.ok(['start']);
    await service.inside('echo kept > /srv/kept; sync');
    disk.fill();
    // Its own blocks it has, and those of the journal.
    assert.equal(await service.inside(`${CHANGES} 2>&1; cat /srv/kept`), 'kept\n');
    assert.doesNotMatch((await service.run(['status'])).out, READ_ONLY);
    assert.match(await service.inside(MUCH), /: Read-only file system\n$/);
    assert.equal(await service.inside('cat /srv/kept'), 'kept\n');
    assert.match((await service.run(['status'])).out, READ_ONLY);
    await service.ok(['stop']);
    await state.assertUnused();
    // It goes on as long as it needs no other block.
    const start = await service.run(['start']);
    if (start.code !== 0) {
      assert.match(start.stderr, NO_START);
      // Another mount namespace may have it still, as what can only be read.
      await state.assertUnused();
    }
    disk.makeRoom();
    await service.ok([start.code === 0 ? 'restart' : 'start']);
    assert.equal(await service.inside(`cat /srv/kept; ${MUCH}`), 'kept\n');
    assert.doesNotMatch((await service.run(['status'])).out, READ_ONLY);
    assert.equal(await service.inside('stat -c %s /srv/much'), `${MANY}\n`);
  });

  const skip = unlessProgram('debugfs', 'e2fsck');
  it('is as before when an upgrade has no room, and is upgraded when there is some', { skip }, async (t) => {
    const disk = smallDisk(t, '48M');
    const root = scratchDirectory(t, WITH_ATTRIBUTES);
    const setKey = (key: string) => writeFileSync(join(root, 'etc/keys/key'), key, { mode: 0o600 });
    mkdirSync(join(root, 'etc/keys'), { recursive: true, mode: 0o700 });
    setKey('key');
    const options = ['-p', disk.path, '-i', '150', '-r', root, '--copy-path', '/etc/keys'];
    const service = await createdService(t, lxc, options, ['--', 'true']);
    const state = new BoundedState(disk.path, service.name);
    const copy = join(scratchDirectory(t), 'copy');
    // What the journal has is in no block yet, or in a few of them.
    const replay = `cp --sparse=always ${state.file} ${copy} && e2fsck -y -E journal_only ${copy} && e2fsck -fn ${copy}`;
    const digest = `debugfs -R 'cat /mounts/%2F/upper/etc/keys/key' ${copy} 2>/dev/null | sha256sum`;
    // That of nothing, of the old key or of a part of the new one: which of them is there says what went wrong.
    const assertKey = (key: string, text: string) => {
      besideLxc('sh', '-c', replay);
      const [found] = besideLxc('sh', '-c', digest).split(' ');
      assert.equal(found, createHash('sha256').update(key).digest('hex'), text);
    };
    const fresh = randomBytes(MANY).toString('hex');
    setKey(fresh);
    disk.fill();
    for (const turn of ['the first', 'the second']) {
      await service.fails(['upgrade'], NO_ROOM);
      await state.assertUnused();
      assertKey('key', `behind ${turn} upgrade: another key`);
    }
    disk.makeRoom();
    await service.ok(['upgrade', '--json']);
    await state.assertUnused();
    assertKey(fresh, 'when there is room: another key');
    besideLxc('e2fsck', '-fn', state.file);
    assert.deepEqual(besideLxc('ls', state.directory), 'layers\nlayers.ext4\noverlay.json\n');
    assert.doesNotMatch(besideLxc('debugfs', '-R', 'ls -p /', state.file), /\/upgrade\//);
  });

  it('is cloned as a whole or not at all', async (t) => {
    const disk = smallDisk(t, '4M');
    const { service } = await boundedService(t);
    await service.ok(['start']);
    await service.inside('echo kept > /srv/kept; head -c 10M /dev/urandom > /srv/much');
    const clone = new TestService(`${service.name}-2`, lxc);
    t.after(() => removeServices([clone.name], lxc.options));
    await service.fails(
      ['clone', '--live', '-p', disk.path],
      /layers\.ext4", which bounds the state, cannot be written: .*; make room for it, or name another directory/,
      [clone.name],
    );
    assert.equal(besideLxc('ls', '-A', disk.path), '');
    await clone.fails(['show'], /there is no service/);
    assert.equal(await service.inside('echo well'), 'well\n');
    besideLxc('mount', '-o', 'remount,size=48M', disk.path);
    await service.ok(['clone', '--live', '-p', disk.path], [clone.name]);
    await clone.ok(['start']);
    assert.equal(await clone.inside('cat /srv/kept'), 'kept\n');
  });
});
