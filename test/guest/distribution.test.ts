/** Another distribution as the root: it uses none of the host's files, and nothing of ours is installed in it. */

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { embedded, lxc } from '../helpers/connections.js';
import { ext4Of, imageFile, unlessProgram } from '../helpers/images.js';
import { assertRun, runSandbox } from '../helpers/run.js';
import { unlessRoot } from '../helpers/scratch.js';

/** A Debian release older or newer than the host's, so that its libc is another. */
const SUITE = /^VERSION_CODENAME=bookworm$/m.test(readFileSync('/etc/os-release', 'utf8')) ? 'trixie' : 'bookworm';

describe(`a root of Debian ${SUITE}`, {
  skip: unlessRoot('makes devices') || unlessProgram('debootstrap', 'mkfs.ext4'),
  timeout: 600_000,
}, () => {
  const directory = mkdtempSync(join(tmpdir(), 'virt-sandbox-test-'));
  const root = join(directory, 'root');
  const image = join(directory, 'root.img');
  let lacks: string | undefined;

  before(async () => {
    chmodSync(directory, 0o755);
    // In its own mount namespace, so that its mounts go away with it. Unpacked and not configured: programs run so.
    const words = ['debootstrap', '--foreign', '--variant=minbase', SUITE, root];
    const bootstrap = ['--mount', '--propagation', 'private', ...words];
    try {
      await promisify(execFile)('unshare', bootstrap, { timeout: 500_000 });
    } catch (error) {
      lacks = `debootstrap cannot make one here: ${String(error).split('\n')[0]}`;
      return;
    }
    for (const name of ['passwd', 'group'])
      copyFileSync(join(root, `usr/share/base-passwd/${name}.master`), join(root, 'etc', name));
    symlinkSync('/proc/self/mounts', join(root, 'etc/mtab'));
    ext4Of(root, image, 700 << 20);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  for (const { uri, skip, options } of [embedded, lxc]) {
    const user = uri.replace(/\W+/g, '');

    it(`${uri}: its programs run with its own libc`, { skip }, async (t) => {
      if (lacks !== undefined) return t.skip(lacks);
      const ask = ['sh', '-c', 'dpkg --version && ldd --version && cat /etc/debian_version'];
      const expected = execFileSync('chroot', [root, ...ask], { encoding: 'utf8' });
      assert.notEqual(expected, execFileSync('sh', ask.slice(1), { encoding: 'utf8' }));
      assertRun(await runSandbox(['-c', uri, '-e', 'HOME=/', '-r', root, '--', ...ask], options), 0, expected);
    });

    it(`${uri}: changes to its image persist`, { skip }, async (t) => {
      if (lacks !== undefined) return t.skip(lacks);
      const change = `useradd ${user} && id -un ${user} && perl -e "print qq(perl\\n)"`;
      const args = ['-c', uri, '-p', '-m', `host-image:/=${image}`, '--', 'sh', '-c', change];
      const { code, out, stderr } = await runSandbox(args, options);
      assert.deepEqual([code, out], [0, `${user}\nperl\n`], stderr);
      assert.match(stderr, uri === lxc.uri ? /is no barrier/ : /^$/);
      assert.match(imageFile(image, 'etc/passwd'), new RegExp(`^${user}:`, 'm'));
    });
  }
});
