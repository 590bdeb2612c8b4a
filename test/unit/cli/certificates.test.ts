/** NODE_EXTRA_CA_CERTS: Node.js does not read that file as the programs start, and what they start still gets it. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROGRAM, runSandbox } from '../../helpers/run.js';
import { scratchDirectory } from '../../helpers/scratch.js';

for (const suffix of ['', '-bake', '-bench'])
  test(`virt-sandbox${suffix} reads no certificates as it starts`, async (t) => {
    const log = join(scratchDirectory(t), 'strace');
    const result = await runSandbox(['--version'], {
      program: `${PROGRAM}${suffix}`,
      env: { NODE_EXTRA_CA_CERTS: '/nonexistent/certificates.pem' },
      through: ['strace', '-f', '-e', 'trace=file', '-o', log],
    });
    assert.deepEqual([result.code, result.stderr], [0, '']);
    const calls = readFileSync(log, 'utf8').split('\n');
    assert.ok(
      calls.some((call) => call.includes(`dist/virt-sandbox${suffix}.cjs`)),
      'strace saw the program',
    );
    assert.deepEqual(
      calls.filter((call) => call.includes('certificates.pem')),
      [],
    );
  });

for (const [what, value] of [
  ['its value, with a space in it', '/of the caller/certificates.pem'],
  ['none where the caller has none', undefined],
] as const)
  test(`a sandbox can be passed NODE_EXTRA_CA_CERTS: ${what}`, async (t) => {
    const file = join(scratchDirectory(t), 'sandbox.cfg');
    const args = ['-c', 'qemu:///embed', '--save-config', file, '--env', 'NODE_EXTRA_CA_CERTS', 'true'];
    const result = await runSandbox(args, { env: { NODE_EXTRA_CA_CERTS: value } });
    if (value === undefined) {
      assert.match(result.stderr, /environment variable "NODE_EXTRA_CA_CERTS" has no value and is not set here/);
      assert.equal(result.code, 125);
      return;
    }
    assert.equal(result.code, 0, result.stderr);
    assert.match(readFileSync(file, 'utf8'), new RegExp(`^key=NODE_EXTRA_CA_CERTS\nvalue=${value}$`, 'm'));
  });
