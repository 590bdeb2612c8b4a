/** Initrds that other programs made, as virt-sandbox-bake reads them, compared with what the usual tools make of them. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { findInPath } from '../../src/programs.js';
import { runBake } from '../helpers/bake.js';
import { servingKernel, unlessServingKernel } from '../helpers/kernels.js';
import { assertRun } from '../helpers/run.js';
import { scratchDirectory, unlessRoot } from '../helpers/scratch.js';

const initrds = existsSync('/boot') ? readdirSync('/boot').filter((name) => name.startsWith('initrd.img-')) : [];
const unlessTool = (name: string) => (findInPath(name) === undefined ? `${name} is not installed` : false);

/** Every file with its type, mode, owner, size, target and content, in one text. */
function described(directory: string): string {
  const list = execFileSync(
    'sh',
    [
      '-c',
      `find . -mindepth 1 -printf '%P %y %m %U:%G %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum`,
    ],
    {
      cwd: directory,
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    },
  );
  return list;
}

describe('an initrd', { skip: unlessRoot('it unpacks devices and owners') }, () => {
  for (const name of initrds) {
    it(`/boot/${name}, of initramfs-tools`, { skip: unlessTool('unmkinitramfs') }, async (context) => {
      const scratch = scratchDirectory(context);
      const ours = join(scratch, 'ours');
      const theirs = join(scratch, 'theirs');
      assertRun(await runBake(scratch, ['unpack', join('/boot', name), ours]), 0, '');
      execFileSync('unmkinitramfs', [join('/boot', name), theirs]);
      // With microcode it makes a directory for each archive.
      const parts = readdirSync(theirs);
      if (parts.includes('main')) {
        const merged = join(scratch, 'merged');
        mkdirSync(merged);
        for (const part of parts.sort()) execFileSync('cp', ['-a', `${join(theirs, part)}/.`, merged]);
        assert.equal(described(ours), described(merged));
      } else {
        assert.equal(described(ours), described(theirs));
      }
      const init = await runBake(scratch, ['cat', join('/boot', name), '/init']);
      assert.match(init.out, /^#!\/bin\/sh/);
    });
  }

  it('of dracut', { skip: unlessServingKernel || unlessTool('dracut') }, async (context) => {
    const scratch = scratchDirectory(context);
    const made = join(scratch, 'dracut.img');
    const options = ['--no-hostonly', '--force', '-m', 'base', '--gzip', '--tmpdir', scratch];
    execFileSync('dracut', [...options, '--kver', servingKernel ?? '', made], { stdio: 'ignore' });
    const ours = join(scratch, 'ours');
    const theirs = join(scratch, 'theirs');
    mkdirSync(theirs);
    assertRun(await runBake(scratch, ['unpack', made, ours]), 0, '');
    execFileSync('sh', ['-c', 'gzip -dc "$1" | cpio -idm --quiet', 'sh', made], { cwd: theirs, stdio: 'ignore' });
    assert.equal(described(ours), described(theirs));
    const list = await runBake(scratch, ['ls', made]);
    assert.match(list.out, /^crw.* 5,1 .* dev\/console$/m);
    // It is a symbolic link there, or the file itself.
    assert.equal((await runBake(scratch, ['cat', made, 'init'])).code, 0);
    assertRun(await runBake(scratch, ['diff', made, made]), 0, '');
  });
});
