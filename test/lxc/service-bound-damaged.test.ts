/** Services in containers whose bound is a file system that is damaged. */
import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { BoundedState } from '../helpers/bounded.js';
import { besideLxc, lxc } from '../helpers/connections.js';
import { imageFile, unlessProgram } from '../helpers/images.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { createdService } from '../helpers/services.js';

const BLOCK = 4096;

/** Writes over what the file system has of an inode, whose checksum is wrong then. */
function damage(file: string, path: string): void {
  const said = besideLxc('debugfs', '-R', `imap ${path}`, file);
  const [, block, offset] = /located at block (\d+), offset 0x([0-9a-f]+)/.exec(said) ?? [];
  assert.ok(block !== undefined && offset !== undefined, said);
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.alloc(4, 0xff), 0, 4, Number(block) * BLOCK + Number.parseInt(offset, 16) + 8);
  closeSync(fd);
}

describe('a bound that is damaged', { skip: lxc.skip || unlessProgram('debugfs', 'e2fsck') }, () => {
  it('is said to be so by an upgrade, which goes on when it is repaired', async (t) => {
    const [above, root] = [scratchDirectory(t, WITH_ATTRIBUTES), scratchDirectory(t, WITH_ATTRIBUTES)];
    const key = join(root, 'etc/keys/key');
    mkdirSync(join(root, 'etc/keys'), { recursive: true, mode: 0o700 });
    writeFileSync(key, 'key', { mode: 0o600 });
    const options = ['-p', above, '-i', '150', '-r', root, '--copy-path', '/etc/keys'];
    const service = await createdService(t, lxc, options, ['--', 'true']);
    const state = new BoundedState(above, service.name);
    // Another mount namespace may have it still, with what it has read.
    await state.assertUnused();
    damage(state.file, '/mounts/%2F/upper/etc/keys/key');
    writeFileSync(key, 'newer');
    for (const words of [['upgrade'], ['export', '-o', join(above, 'archive')]]) {
      await service.fails(
        words,
        /layers\.ext4", which bounds the state, is damaged \(EBADMSG\); while .*: e2fsck -f \S+layers\.ext4\n/,
      );
      await state.assertUnused();
    }
    assert.notEqual(besideLxc('sh', '-c', `e2fsck -fy ${state.file}; echo $?`).trim().split('\n').at(-1), '0');
    await service.ok(['upgrade', '--json']);
    await state.assertUnused();
    assert.equal(imageFile(state.file, '/mounts/%2F/upper/etc/keys/key'), 'newer');
  });
});
