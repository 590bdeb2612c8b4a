/** The kernel and the modules that the options name are the ones that run. */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { ask } from '../helpers/inside.js';
import { servingKernel, unlessServingKernel } from '../helpers/kernels.js';
import { copyTree } from '../helpers/module-copies.js';
import { runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

describe('a kernel chosen', { skip: embedded.skip || unlessServingKernel, concurrency: 2 }, () => {
  const version = servingKernel ?? '';
  const facts = { version: 'uname -r', modules: 'cut -d" " -f1 /proc/modules | sort | head -n 3' };

  it('by its version', async () => {
    const found = await ask(['-c', embedded.uri, '--kernver', version], facts);
    assert.equal(found.version, version);
  });

  it('by its path, with modules from a directory', async (t) => {
    const directory = scratchDirectory(t);
    const kernel = join(directory, 'kernel');
    copyFileSync(`/boot/vmlinuz-${version}`, kernel);
    copyTree(version, join(directory, 'modules', version));
    // With modules, which virtiofs need not have.
    const args = [
      '-c',
      embedded.uri,
      '--root-fs',
      '9p',
      '--kernpath',
      kernel,
      '--kmodpath',
      join(directory, 'modules'),
    ];
    const found = await ask(args, facts);
    assert.equal(found.version, version);
    assert.match(found.modules, /^\w+/);
    const { out } = await runSandbox([...args, '--dry-run', '--', 'true']);
    assert.match(out, new RegExp(`^reason: kernel .* from ${kernel}, as asked for$`, 'm'));
  });
});
