/**
 * Signatures of modules: the profile decides whether the guest's kernel checks them, unless the kernel enforces them.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { ask } from '../helpers/inside.js';
import { unlessServingKernel } from '../helpers/kernels.js';
import { REPOSITORY } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

/** Taints of https://docs.kernel.org/admin-guide/tainted-kernels.html */
const FORCED_MODULE = 1 << 1;
const UNSIGNED_MODULE = 1 << 13;

const COLD = ['--boot', 'cold'];
const reason = { why: '', worth: '', risk: '' };

/** The profile `default` with these changes, as a file. */
function changed(t: TestContext, change: object): string {
  const profile = JSON.parse(readFileSync(join(REPOSITORY, 'profiles/default.json'), 'utf8')) as object;
  const path = join(scratchDirectory(t), 'changed.json');
  writeFileSync(path, JSON.stringify({ ...profile, name: 'changed', ...change }));
  return path;
}

async function taintUnder(profile: string, ...options: readonly string[]): Promise<number> {
  const facts = { taint: 'cat /proc/sys/kernel/tainted', modules: 'grep -c ^9pnet_virtio /proc/modules' };
  const { taint, modules } = await ask(
    ['-c', embedded.uri, '--root-fs', '9p', '--profile', profile, ...options],
    facts,
  );
  assert.equal(modules, '1');
  return Number(taint);
}

describe('signatures of modules', { skip: embedded.skip || unlessServingKernel, concurrency: 2 }, () => {
  it('are not checked when the profile says so, and no module is forced', async (t) => {
    const taint = await taintUnder(changed(t, { moduleSignatures: 'unchecked' }));
    assert.equal(taint & UNSIGNED_MODULE, UNSIGNED_MODULE);
    assert.equal(taint & FORCED_MODULE, 0);
  });

  it('are checked by default', async (t) => {
    assert.equal(await taintUnder(changed(t, { moduleSignatures: 'checked' }), ...COLD), 0);
  });

  it('are checked by a kernel that enforces them, whatever the profile says', async (t) => {
    const kernelArguments = [{ argument: 'module.sig_enforce=1', ...reason }];
    assert.equal(await taintUnder(changed(t, { moduleSignatures: 'unchecked', kernelArguments }), ...COLD), 0);
  });
});
