/** What cp(1) keeps of a state that a guest has made, and that it never leaves it. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { copyFile, copyTree } from '../../../../src/service/clone/copy-tree.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';
import { scratchMount } from '../../../helpers/scratch-mount.js';
import { fillTree, treeText } from '../../../helpers/state-tree.js';

const ROOT = unlessRoot('it makes files of other users');

/** Two directories, the first with a hostile tree. */
function trees(t: TestContext): { from: string; to: string } {
  const ground = scratchDirectory(t, WITH_ATTRIBUTES);
  const [from, to] = [join(ground, 'from'), join(ground, 'to')];
  for (const path of [from, to]) mkdirSync(path);
  fillTree(
    from,
    `mknod null c 1 3; python3 -c 'import os, socket
socket.socket(socket.AF_UNIX).bind("socket")
os.setxattr("absolute", "trusted.x", b"1", follow_symlinks=False); os.setxattr("whiteout", "trusted.x", b"1")'`,
  );
  return { from, to };
}

describe('copyTree', { skip: ROOT }, () => {
  it('keeps names, kinds, modes, owners, times, attributes, links and holes', async (t) => {
    const { from, to } = trees(t);
    chmodSync(join(from, '-t'), 0o4755);
    const before = treeText(from);
    await copyTree(from, to, { source: 'web' });
    assert.equal(treeText(to), before);
    assert.equal(treeText(from), before);
  });

  it('leaves no mount behind', async (t) => {
    const { from, to } = trees(t);
    await copyTree(from, to, { source: 'web' });
    assert.doesNotMatch(execFileSync('cat', ['/proc/self/mountinfo'], { encoding: 'utf8' }), new RegExp(from));
  });

  it('follows no link that is put in the place of a directory meanwhile', async (t) => {
    const { from, to } = trees(t);
    const secret = scratchDirectory(t, WITH_ATTRIBUTES);
    writeFileSync(join(secret, 'secret'), 'secret');
    mkdirSync(join(from, 'z'));
    // For as long as it copies.
    const swap = `import os, sys
while os.path.exists("go"):
  os.rename("d", "kept"); os.symlink(sys.argv[1], "d"); os.unlink("d"); os.rename("kept", "d")`;
    writeFileSync(join(from, 'go'), '');
    const swapping = spawn('python3', ['-c', swap, secret], { cwd: from, stdio: 'ignore' });
    const ended = new Promise((resolve) => swapping.once('exit', resolve));
    for (let round = 0; round < 30; round += 1) {
      mkdirSync(join(to, `${round}`));
      // It may fail, since names are gone.
      await copyTree(from, join(to, `${round}`), { source: 'web' }).catch(() => {});
    }
    execFileSync('rm', [join(from, 'go')]);
    await ended;
    assert.equal(execFileSync('find', [to, '-name', 'secret'], { encoding: 'utf8' }), '');
  });

  it('says why it fails, and what to do where there is no room', async (t) => {
    const { from } = trees(t);
    const full = scratchMount(t, ['mkfs.ext4', '-O', '^has_journal'], '8M');
    writeFileSync(join(from, 'large'), Buffer.alloc(16 << 20, 'x'));
    await assert.rejects(copyFile(join(from, 'large'), join(full, 'large'), { source: 'web' }), {
      code: 'service-state-not-copied',
      message: /No space left/,
      remedy: /make room/,
    });
  });

  it('ends when it is cancelled', async (t) => {
    const { from, to } = trees(t);
    const controller = new AbortController();
    controller.abort();
    await assert.rejects(copyTree(from, to, { source: 'web', signal: controller.signal }), { code: 'aborted' });
    assert.deepEqual(readdirSync(to), []);
  });

  it('shares blocks where the file system can', {
    skip: unlessProgram('mkfs.btrfs'),
  }, async (t) => {
    const ground = scratchMount(t, ['mkfs.btrfs'], '256M');
    const [from, to] = [join(ground, 'from'), join(ground, 'to')];
    for (const path of [from, to]) mkdirSync(path);
    // More than half of the disk.
    execFileSync('dd', ['if=/dev/urandom', `of=${join(from, 'large')}`, 'bs=1M', 'count=120', 'status=none']);
    await copyTree(from, to, { source: 'web' });
    execFileSync('cmp', [join(from, 'large'), join(to, 'large')]);
  });
});
