/** The search for a kernel: the running one, the newest one, or the one that was asked for. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { KernelSelection } from '../../../src/config/types.js';
import { findKernel, installedKernels, type Lacks } from '../../../src/kernel/choose.js';
import type { KernelSearchPaths } from '../../../src/kernel/search-paths.js';
import { forgetInputs } from '../../../src/util/input-log.js';
import { rejectsWith } from '../../helpers/errors.js';
import { makeKernel } from '../../helpers/kernel-files.js';
import { writeModuleTree } from '../../helpers/module-trees.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const NONE: KernelSelection = { version: undefined, path: undefined, modulesPath: undefined };
const complete: Lacks = async () => undefined;

interface Machine {
  readonly boot: string;
  readonly modules: string;
  readonly searchPaths: Required<KernelSearchPaths>;
  /** Installs a kernel as Debian does; `parts` leaves out the image or the modules. */
  install(version: string, parts?: { image?: boolean; tree?: boolean }): void;
}

function machine(context: TestContext, release = '6.18.0-other'): Machine {
  const directory = scratchDirectory(context);
  const boot = join(directory, 'boot');
  const modules = join(directory, 'modules');
  mkdirSync(boot);
  mkdirSync(modules);
  return {
    boot,
    modules,
    searchPaths: { release, bootDirectory: boot, modulesDirectory: modules },
    install(version, { image = true, tree = true } = {}) {
      if (image) writeFileSync(join(boot, `vmlinuz-${version}`), makeKernel(version));
      if (tree) writeModuleTree(modules, { version });
    },
  };
}

test('the running kernel is taken when it has an image and modules', async (context) => {
  const host = machine(context, '6.1.5-running');
  host.install('6.1.5-running');
  host.install('6.12.0-newer');
  const choice = await findKernel(NONE, complete, forgetInputs, host.searchPaths);
  assert.equal(choice.version, '6.1.5-running');
  assert.equal(choice.modulesDirectory, join(host.modules, '6.1.5-running'));
  assert.match(choice.reason, /^kernel 6\.1\.5-running from .*vmlinuz-6\.1\.5-running, the running one$/);
});

test('else the newest one is taken, by version and not by name', async (context) => {
  const host = machine(context);
  for (const version of ['6.12.9-amd64', '6.12.118-amd64', '6.2.0-amd64']) host.install(version);
  const choice = await findKernel(NONE, complete, forgetInputs, host.searchPaths);
  assert.equal(choice.version, '6.12.118-amd64');
  assert.match(choice.reason, /the newest that serves \(the running kernel 6\.18\.0-other has no usable image here\)/);
});

test('a running kernel without modules is passed over, and a newer one without an image', async (context) => {
  const host = machine(context, '6.1.5-running');
  host.install('6.1.5-running', { tree: false });
  host.install('6.9.0-modules-only', { image: false });
  host.install('6.3.0-whole');
  const choice = await findKernel(NONE, complete, forgetInputs, host.searchPaths);
  assert.equal(choice.version, '6.3.0-whole');
  assert.match(choice.reason, /the running kernel 6\.1\.5-running has no modules/);
});

test('a kernel that lacks a feature is passed over, with the reason', async (context) => {
  const host = machine(context);
  host.install('6.12.0-amd64');
  host.install('6.12.1-cloud-amd64');
  const lacks: Lacks = async (version) => (version.includes('cloud') ? 'has no 9p file system' : undefined);
  const choice = await findKernel(NONE, lacks, forgetInputs, host.searchPaths);
  assert.equal(choice.version, '6.12.0-amd64');
  assert.match(choice.reason, /kernel 6\.12\.1-cloud-amd64 has no 9p file system/);
});

test('when all lack a feature, the first is returned and the caller reports it', async (context) => {
  const host = machine(context);
  host.install('6.1.0');
  host.install('6.2.0');
  const choice = await findKernel(NONE, async () => 'has no legs', forgetInputs, host.searchPaths);
  assert.equal(choice.version, '6.2.0');
});

test('a kernel beside its modules, as on Fedora, is found', async (context) => {
  const host = machine(context);
  host.install('6.9.12-200.fc40.x86_64', { image: false });
  const path = join(host.modules, '6.9.12-200.fc40.x86_64', 'vmlinuz');
  writeFileSync(path, makeKernel('6.9.12-200.fc40.x86_64'));
  assert.equal((await findKernel(NONE, complete, forgetInputs, host.searchPaths)).file.path, path);
});

test('the same file under two names is one kernel', async (context) => {
  const host = machine(context);
  host.install('6.1.0');
  symlinkSync(join(host.boot, 'vmlinuz-6.1.0'), join(host.modules, '6.1.0', 'vmlinuz'));
  assert.equal((await installedKernels(NONE, forgetInputs, host.searchPaths)).length, 1);
});

test('broken files do not stop the search, and the error names them when there is no kernel', async (context) => {
  const host = machine(context);
  host.install('6.1.0');
  const broken = join(host.boot, 'vmlinuz-6.5.0');
  writeFileSync(broken, makeKernel('6.5.0').subarray(0, 9000));
  const choice = await findKernel(NONE, complete, forgetInputs, host.searchPaths);
  assert.equal(choice.version, '6.1.0');
  assert.match(choice.reason, /vmlinuz-6\.5\.0 is truncated/);
  rmSync(join(host.boot, 'vmlinuz-6.1.0'));
  await rejectsWith(findKernel(NONE, complete, forgetInputs, host.searchPaths), 'kernel-truncated', /vmlinuz-6\.5\.0/);
  await rejectsWith(
    findKernel({ ...NONE, version: '6.5.0' }, complete, forgetInputs, host.searchPaths),
    'kernel-truncated',
    /vmlinuz-6\.5\.0/,
  );
});

test('names that lead nowhere, or not to a file, do not stop the search', async (context) => {
  const host = machine(context);
  host.install('6.1.0');
  symlinkSync('vmlinuz-6.7.0', join(host.boot, 'vmlinuz-6.7.0'));
  execFileSync('mkfifo', [join(host.boot, 'vmlinuz-6.8.0')]);
  const choice = await findKernel(NONE, complete, forgetInputs, host.searchPaths);
  assert.equal(choice.version, '6.1.0');
  assert.match(choice.reason, /vmlinuz-6\.7\.0 cannot be read \(ELOOP\)/);
  assert.match(choice.reason, /vmlinuz-6\.8\.0 is not a regular file/);
  await rejectsWith(
    findKernel({ ...NONE, version: '6.7.0' }, complete, forgetInputs, host.searchPaths),
    'kernel-unreadable',
    /vmlinuz-6\.7\.0/,
  );
});

test('no kernel at all', async (context) => {
  const host = machine(context);
  const searchPaths = { ...host.searchPaths, bootDirectory: join(host.boot, 'nothing') };
  await rejectsWith(
    findKernel(NONE, complete, forgetInputs, searchPaths),
    'kernel-not-found',
    /; install one .*--kernpath/,
  );
});

test('a version can be chosen', async (context) => {
  const host = machine(context);
  host.install('6.1.0');
  host.install('6.2.0');
  const choice = await findKernel(
    { ...NONE, version: '6.1.0' },
    async () => 'is not asked',
    forgetInputs,
    host.searchPaths,
  );
  assert.equal(choice.version, '6.1.0');
  await rejectsWith(
    findKernel({ ...NONE, version: '6.3.0' }, complete, forgetInputs, host.searchPaths),
    'kernel-not-found',
    /no kernel 6\.3\.0 is installed.*; choose one of 6\.2\.0, 6\.1\.0/,
  );
});

test('a path can be chosen, but not with a version that contradicts it', async (context) => {
  const host = machine(context);
  host.install('6.1.0');
  const path = join(host.boot, 'vmlinuz-6.1.0');
  const choice = await findKernel({ ...NONE, path, version: '6.1.0' }, complete, forgetInputs, host.searchPaths);
  assert.equal(choice.file.path, path);
  await rejectsWith(
    findKernel({ ...NONE, path, version: '6.2.0' }, complete, forgetInputs, host.searchPaths),
    'kernel-version-mismatch',
    /is version 6\.1\.0, not 6\.2\.0/,
  );
});

test('modules directories that do not fit the kernel', async (context) => {
  const host = machine(context);
  host.install('6.1.0');
  const path = join(host.boot, 'vmlinuz-6.1.0');
  const find = (modulesPath: string): Promise<unknown> =>
    findKernel({ ...NONE, path, modulesPath }, complete, forgetInputs, host.searchPaths);

  await rejectsWith(find(join(host.boot, 'nothing')), 'modules-not-found', /^modules: .*does not exist.*--kmodpath/);
  await rejectsWith(find(host.boot), 'modules-not-found', /holds no module tree/);
  await rejectsWith(find(join(host.modules, '6.1.0')), 'modules-path-is-a-tree', /name the directory above it/);

  const other = join(host.boot, 'other');
  writeModuleTree(other, { version: '6.0.9' });
  await rejectsWith(find(other), 'modules-other-version', /no modules of kernel 6\.1\.0, only of 6\.0\.9/);
  mkdirSync(join(other, '6.1.0'));
  await rejectsWith(find(other), 'modules-not-indexed', /no readable modules\.dep; .*depmod 6\.1\.0/);
});

test('a damaged module tree of one kernel does not stop the search for another', async (context) => {
  const host = machine(context);
  host.install('6.1.0');
  host.install('6.2.0');
  const { SandboxError } = await import('../../../src/util/errors.js');
  const lacks: Lacks = async (version) => {
    if (version === '6.1.0') return undefined;
    throw new SandboxError({ stage: 'modules', code: 'x', message: 'modules.dep is corrupt', remedy: 'r' });
  };
  const choice = await findKernel(NONE, lacks, forgetInputs, host.searchPaths);
  assert.equal(choice.version, '6.1.0');
  assert.match(choice.reason, /6\.2\.0 cannot be used \(modules\.dep is corrupt\)/);
});
