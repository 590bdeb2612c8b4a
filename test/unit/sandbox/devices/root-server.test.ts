/** What a virtiofsd can do, and what an error of the root's server says. */
import assert from 'node:assert/strict';
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Share } from '../../../../src/domain/shares.js';
import { serverError, translatesOwners } from '../../../../src/sandbox/devices/root-server.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

function programThat(t: TestContext, answer: string, mode = 0o755): string {
  const program = join(scratchDirectory(t), 'virtiofsd');
  writeFileSync(program, `#!/bin/sh\n${answer}\n`, { mode });
  return program;
}

describe('a virtiofsd', () => {
  it('translates owners if its help says so, and cannot if it cannot be asked', (t) => {
    assert.ok(translatesOwners(programThat(t, 'echo "    --translate-uid <MAP>"')));
    assert.ok(!translatesOwners(programThat(t, 'echo "    --cache <CACHE>"')));
    assert.ok(!translatesOwners(programThat(t, 'true', 0o644)));
    assert.ok(!translatesOwners('/does/not/exist'));
  });

  it('is asked again when it is another one', (t) => {
    const program = programThat(t, 'echo "    --cache <CACHE>"');
    assert.ok(!translatesOwners(program));
    writeFileSync(program, '#!/bin/sh\necho --translate-uid\n');
    utimesSync(program, 1, 1);
    assert.ok(translatesOwners(program));
  });
});

describe('a root whose server has failed', () => {
  function failed(t: TestContext, rootFs: 'auto' | 'virtiofs'): SandboxError | undefined {
    const directory = scratchDirectory(t);
    const program = join(directory, 'root-server');
    writeFileSync(`${program}.log`, 'share-server: pivot_root: Invalid argument\n');
    const root = { program, socket: join(directory, 'rootfs') } as Share;
    const message = `qemu-wall: ${root.socket}: Connection refused`;
    const error = new SandboxError({ stage: 'domain', code: 'domain-refused', message, remedy: 'none' });
    return serverError(root, error, rootFs);
  }

  it('can have 9p where virtiofs was asked for, and another kernel where this one has no 9p', (t) => {
    assert.equal(failed(t, 'virtiofs')?.remedy, 'use --root-fs 9p');
    assert.equal(failed(t, 'auto')?.remedy, 'use a kernel that has the 9p file system (--kernver)');
    assert.equal(
      failed(t, 'auto')?.message,
      'the root cannot be served over virtiofs: share-server: pivot_root: Invalid argument',
    );
  });
});
