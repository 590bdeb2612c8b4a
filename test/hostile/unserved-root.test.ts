/**
 * Promise: a command runs once. A start whose root cannot be served is done once more with another root, so nothing that a
 * command, a guest or a QEMU says may pass for a server that has failed.
 * The attacker chooses the words of an error, which are those of a server. The victim is the launcher.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asUnserved, UnservedRoot } from '../../src/sandbox/unserved-root.js';
import { SandboxError } from '../../src/util/errors.js';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { runSandbox } from '../helpers/run.js';

/** What QEMU, libvirt and the launcher say where the server is not there. */
const WORDS = 'virtiofsd died: vhost rootfs root-view: cannot serve the view';

for (const way of [embedded, system])
  describe(`a command with the words of a server over ${way.uri}`, { skip: way.skip }, () => {
    it('is not found, once', async () => {
      const { code, stderr } = await runSandbox(['-c', way.uri, ...ACCEL, '-v', '--', WORDS]);
      assert.equal(code, 127, stderr);
      assert.match(stderr, /^virt-sandbox: root: over virtiofs, /m);
      assert.equal(stderr.match(/^virt-sandbox: root: /gm)?.length, 1, stderr);
    });
  });

describe('an error of a start', () => {
  const error = (stage: 'domain' | 'init', code: string) =>
    new SandboxError({ stage, code, message: WORDS, remedy: 'none' });

  it('has the root served otherwise only before the guest was sent anything', () => {
    for (const code of ['root-server-failed', 'root-view-impossible']) {
      assert.ok(asUnserved(error('domain', code), false) instanceof UnservedRoot);
      for (const other of [asUnserved(error('domain', code), true), asUnserved(error('init', code), false)])
        assert.ok(!(other instanceof UnservedRoot));
    }
    assert.ok(!(asUnserved(error('domain', 'guest-gone'), false) instanceof UnservedRoot));
  });
});
