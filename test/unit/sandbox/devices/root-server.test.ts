/** What an error of the root's server says. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Share } from '../../../../src/domain/shares.js';
import { serverError } from '../../../../src/sandbox/devices/root-server.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

describe('a root whose server has failed', () => {
  function failed(t: TestContext, rootFs: 'auto' | 'virtiofs'): SandboxError | undefined {
    const directory = scratchDirectory(t);
    const program = join(directory, 'root-server');
    writeFileSync(`${program}.log`, 'share-server: pivot_root: Invalid argument\n');
    const root = { program, socket: join(directory, 'rootfs') } as Share;
    const message = `qemu-wall: ${root.socket}: Connection refused`;
    const error = new SandboxError({ stage: 'domain', code: 'domain-refused', message, remedy: 'none' });
    return serverError(root, [root], error, rootFs);
  }

  it('can have 9p where virtiofs was asked for, and another kernel where this one has no 9p', (t) => {
    assert.equal(failed(t, 'virtiofs')?.remedy, 'use --root-fs 9p');
    assert.equal(
      failed(t, 'auto')?.remedy,
      'use a kernel, or an image, that has the 9p file system (--kernver, --image)',
    );
    assert.equal(
      failed(t, 'auto')?.message,
      'the root cannot be served over virtiofs: share-server: pivot_root: Invalid argument',
    );
  });

  it('is no virtiofsd that could be installed, where libvirt has started it', () => {
    const root = { program: '/run/NAME/root-server', transport: 'virtiofs' } as Share;
    const message = 'libvirt did not start the domain: internal error: virtiofsd died unexpectedly';
    const error = new SandboxError({ stage: 'domain', code: 'virtiofsd-missing', message, remedy: 'install it' });
    const found = serverError(root, [root], error, 'virtiofs');
    assert.deepEqual([found?.code, found?.remedy], ['root-server-failed', 'use --root-fs 9p']);
    assert.match(found?.message ?? '', /: virtiofsd died unexpectedly; its own messages are in libvirt's log /);
    // A directory beside it has a virtiofsd, which may be the one.
    const directory = { transport: 'virtiofs' } as Share;
    assert.equal(serverError(root, [root, directory], error, 'virtiofs'), undefined);
  });
});
