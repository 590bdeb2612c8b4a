/** sandbox.cfg as a file: how it is written and read. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSandboxCfg, parseSandboxCfg, saveSandboxCfg } from '../../../../src/config/sandbox-cfg/sandbox-cfg.js';
import { refuses, temporaryDirectory, testUsers } from '../support.js';
import { COMPLETE, MINIMAL } from './texts.js';

test('a file is replaced as a whole and is private', async (t) => {
  const users = await testUsers(t);
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'sandbox.cfg');
  const config = await parseSandboxCfg(COMPLETE, { users });
  await saveSandboxCfg(path, await parseSandboxCfg(MINIMAL, { users }), { users });
  await saveSandboxCfg(path, config, { users });
  assert.equal(await readFile(path, 'utf8'), COMPLETE);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(directory), ['sandbox.cfg']);
  assert.deepEqual(await loadSandboxCfg(path, { users }), config);
});

test('a write follows a symbolic link', async (t) => {
  const users = await testUsers(t);
  const directory = await temporaryDirectory(t);
  await symlink('real.cfg', join(directory, 'link.cfg'));
  await saveSandboxCfg(join(directory, 'link.cfg'), await parseSandboxCfg(MINIMAL, { users }), { users });
  assert.equal(await readFile(join(directory, 'real.cfg'), 'utf8'), MINIMAL);
  assert.deepEqual((await readdir(directory)).sort(), ['link.cfg', 'real.cfg']);
});

test('the error names a file that cannot be written or read', async (t) => {
  const users = await testUsers(t);
  const directory = await temporaryDirectory(t);
  const config = await parseSandboxCfg(MINIMAL, { users });
  const below = join(directory, 'absent', 'x.cfg');
  await refuses(() => saveSandboxCfg(below, config, { users }), 'config', 'config-not-writable', below);
  await mkdir(join(directory, 'folder'));
  const folder = join(directory, 'folder');
  await refuses(() => saveSandboxCfg(folder, config, { users }), 'config', 'config-not-writable', folder);
  await refuses(() => loadSandboxCfg(below, { users }), 'config', 'config-not-readable', below);
  await refuses(() => loadSandboxCfg(folder, { users }), 'config', 'config-not-readable', folder);
  const binary = join(directory, 'binary.cfg');
  await writeFile(binary, Buffer.from([0x5b, 0xff, 0x5d]));
  await refuses(() => loadSandboxCfg(binary, { users }), 'config', 'config-not-utf8', binary);
});
