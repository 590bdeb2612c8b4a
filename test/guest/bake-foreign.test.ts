/** Initrds made by other programs: virt-sandbox-bake reads them as the usual tools do. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { findInPath } from '../../src/util/programs.js';
import { runBake } from '../helpers/bake.js';
import { servingKernel, unlessServingKernel } from '../helpers/kernels.js';
import { assertRun } from '../helpers/run.js';
import { scratchDirectory, unlessRoot } from '../helpers/scratch.js';

const initrds = existsSync('/boot') ? readdirSync('/boot').filter((name) => name.startsWith('initrd.img-')) : [];
const unlessTool = (...names: readonly string[]) => {
  const missing = names.filter((name) => findInPath(name) === undefined);
  return missing.length > 0 && `${missing.join(' and ')} is not installed`;
};

/** Every file with its type, mode, owner, size, target and content, as one text. */
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
  /** Unpacks it as we do and as its own tool does. */
  async function compare(context: TestContext, initrd: string): Promise<void> {
    const scratch = scratchDirectory(context);
    const ours = join(scratch, 'ours');
    const theirs = join(scratch, 'theirs');
    assertRun(await runBake(scratch, ['unpack', initrd, ours]), 0, '');
    execFileSync('unmkinitramfs', [initrd, theirs]);
    // It makes one directory for each archive when there is microcode.
    const parts = readdirSync(theirs);
    if (parts.includes('main')) {
      const merged = join(scratch, 'merged');
      mkdirSync(merged);
      for (const part of parts.sort()) execFileSync('cp', ['-a', `${join(theirs, part)}/.`, merged]);
      assert.equal(described(ours), described(merged));
    } else {
      assert.equal(described(ours), described(theirs));
    }
    const init = await runBake(scratch, ['cat', initrd, '/init']);
    assert.match(init.out, /^#!\/bin\/sh/);
  }

  for (const name of initrds) {
    it(`/boot/${name}, of initramfs-tools`, { skip: unlessTool('unmkinitramfs') }, (context) =>
      compare(context, join('/boot', name)),
    );
  }

  for (const [program, compression] of [
    ['gzip', 'gzip'],
    ['zstd', 'zstd'],
    ['lzop', 'lzo'],
  ] as const) {
    it(`of initramfs-tools, packed with ${program}`, {
      skip: unlessServingKernel || unlessTool('mkinitramfs', 'unmkinitramfs', program),
    }, async (context) => {
      const scratch = scratchDirectory(context);
      const configuration = join(scratch, 'configuration');
      const made = join(scratch, 'initrd.img');
      cpSync('/etc/initramfs-tools', configuration, { recursive: true });
      // Only the modules that it needs: the others take most of the time.
      appendFileSync(join(configuration, 'initramfs.conf'), '\nMODULES=list\n');
      const options = ['-d', configuration, '-c', program, '-o', made];
      execFileSync('mkinitramfs', [...options, servingKernel ?? ''], {
        stdio: 'ignore',
        env: { ...process.env, TMPDIR: scratch },
      });
      const list = await runBake(scratch, ['ls', made]);
      assert.match(list.out, new RegExp(`^archive 2 of 2: at byte \\d+, packed with ${compression}$`, 'm'));
      await compare(context, made);
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
