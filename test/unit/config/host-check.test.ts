/** The check that the host has everything a sandbox names. */

import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkHost } from '../../../src/config/host-check.js';
import { type ConfigOptions, configFromOptions } from '../../../src/config/options.js';
import { refuses, temporaryDirectory, testUsers } from './support.js';

test('the host must have everything that a sandbox names', async (t) => {
  const users = await testUsers(t);
  const directory = await temporaryDirectory(t);
  const [file, folder, link, absent] = ['file.img', 'folder', 'link', 'absent'].map((name) => join(directory, name));
  assert.ok(file !== undefined && folder !== undefined && link !== undefined && absent !== undefined);
  await writeFile(file, '');
  await mkdir(folder);
  await symlink('nowhere', link);
  const look = async (options: ConfigOptions) =>
    checkHost(await configFromOptions({ command: ['x'], ...options }, users));

  const good: ConfigOptions[] = [
    {},
    { root: folder },
    { root: absent, mount: [`host-bind:/=${folder}`] },
    {
      mount: [
        `host-bind:/a=${folder}`,
        'host-bind:/b=',
        `host-image:/c=${file}`,
        'guest-bind:/d=/nowhere',
        'ram:/e=1M',
      ],
    },
    { mount: ['ram:/a=1M'], include: [`/a/f=${file}`, `/a/g=${folder}`, `/a/h=${link}`, '/a/i=/dev/null'] },
    { disk: [`file:a=${file}`] },
  ];
  for (const options of good) await t.test(JSON.stringify(options), () => look(options));

  const bad: [ConfigOptions, string, string][] = [
    [{ root: absent }, 'root-not-found', absent],
    [{ root: file }, 'root-not-directory', file],
    [{ root: `${file}/below` }, 'root-not-found', `${file}/below`],
    [{ mount: [`host-bind:/a=${absent}`] }, 'mount-source-not-found', absent],
    [{ mount: [`host-bind:/a=${file}`] }, 'mount-source-not-directory', file],
    [{ mount: [`host-image:/a=${folder}`] }, 'mount-source-not-image', folder],
    [{ mount: [`host-image:/a=${link}`] }, 'mount-source-not-found', link],
    [{ mount: ['ram:/a=1M'], include: [`/a/x=${absent}`] }, 'include-source-not-found', absent],
    [{ disk: [`file:a=${absent}`] }, 'disk-source-not-found', absent],
    [{ disk: [`file:a=${folder}`] }, 'disk-source-not-file', folder],
    [{ disk: [`block:a=${file}`] }, 'disk-source-not-block-device', file],
  ];
  for (const [options, code, name] of bad) {
    await t.test(JSON.stringify(options), () => refuses(() => look(options), 'config', code, JSON.stringify(name)));
  }
});
