/** Packages of a root, and which of their files a service may want. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { SandboxConfig } from '../../../../src/config/types.js';
import { candidatesOf, outermost } from '../../../../src/service/content/candidates.js';
import { parseFiles, parseInstalled, parseOwners } from '../../../../src/service/content/dpkg.js';
import { findPackage, packageManagerOf } from '../../../../src/service/content/package-manager.js';
import { packagesOf } from '../../../../src/service/content/packages.js';
import * as rpm from '../../../../src/service/content/rpm.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { findInPath } from '../../../../src/util/programs.js';
import { makePackagedRoot } from '../../../helpers/packaged-root.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const withCode = (code: string) => (error: unknown) => error instanceof SandboxError && error.code === code;

const WEB = {
  name: 'web-common',
  source: 'web',
  files: {
    '/etc/web/web.conf': { text: 'x' },
    '/etc/web/key': { text: 'x', mode: 0o600 },
    '/etc/logrotate.d/web': { text: 'x' },
    '/etc/odd[1]*/a b': { text: 'x' },
    '/var/lib/web': {},
    '/usr/lib/systemd/system/web.service': { text: '[Service]\nExecStart=/bin/true\n' },
    '/usr/share/web/page': { text: 'x' },
    '/etc/shared/web': { text: 'x' },
  },
} as const;
const SERVER = { name: 'web', files: { '/usr/sbin/webd': { text: 'x', mode: 0o755 } } } as const;
const OTHER = { name: 'other', files: { '/etc/shared/other': { text: 'x' } } } as const;

const configOf = (path: string, more: object) =>
  ({
    root: { type: 'directory', path },
    command: [],
    service: { type: 'generic' },
    ...more,
  }) as unknown as SandboxConfig;

const skip = unlessRoot('dpkg wants it') || (findInPath('dpkg') === undefined ? 'there is no dpkg' : false);

describe('packages of dpkg', { skip }, () => {
  it('own files, by the paths that they really have', async (context) => {
    const root = scratchDirectory(context);
    makePackagedRoot(root, [WEB, SERVER, OTHER]);
    const manager = packageManagerOf(root);
    assert.ok(manager);
    const owners = await manager.owners(['/etc/shared', '/etc/odd[1]*/a b', '/usr/lib/systemd/system', '/nothing']);
    assert.deepEqual([...(owners.get('/etc/shared') ?? [])].sort(), ['other', 'web-common']);
    assert.deepEqual(owners.get('/etc/odd[1]*/a b'), ['web-common']);
    assert.equal(owners.has('/nothing'), false);
    assert.deepEqual(await findPackage(manager, 'web'), { name: 'web', source: 'web' });
    await assert.rejects(findPackage(manager, 'none'), withCode('package-not-installed'));
    for (const word of ['we*', '--help', 'a b', ''])
      await assert.rejects(findPackage(manager, word), withCode('package-name-invalid'));
  });

  it('are those of a program and of a unit, with what was built with them', async (context) => {
    const root = scratchDirectory(context);
    makePackagedRoot(root, [WEB, SERVER, OTHER]);
    mkdirSync(join(root, 'usr/bin'));
    symlinkSync('/usr/sbin/webd', join(root, 'usr/bin/webd-link'));
    const named = async (more: object, words: readonly string[] = [], isCopied = true) => {
      const { named, ofUnits } = await packagesOf('x', configOf(root, more), words, isCopied);
      return [named, ofUnits];
    };
    const both = ['web', 'web-common'];
    assert.deepEqual(await named({ command: ['webd-link', '-x'] }), [both, []]);
    assert.deepEqual(await named({ command: ['/usr/sbin/webd'] }, ['other']), [['other', ...both], []]);
    assert.deepEqual(await named({ command: ['none'] }), [[], []]);
    assert.deepEqual(await named({ command: ['webd-link'] }, ['other'], false), [['other'], []]);
    const service = { type: 'systemd', units: ['web.service'], bootTarget: 'x' };
    assert.deepEqual(await named({ service }), [[], both]);
    await assert.rejects(named({}, ['none']), withCode('package-not-installed'));
    await assert.rejects(
      packagesOf('x', configOf(scratchDirectory(context), {}), ['web'], true),
      withCode('package-manager-missing'),
    );
  });

  it('have files below /etc and /var, and directories of their own', async (context) => {
    const root = scratchDirectory(context);
    makePackagedRoot(root, [WEB, SERVER, OTHER]);
    writeFileSync(join(root, 'etc/web/htpasswd'), 'x');
    const manager = packageManagerOf(root);
    assert.ok(manager);
    assert.deepEqual(await candidatesOf(manager, ['web-common', 'web']), [
      { path: '/etc/odd[1]*', isWhole: true },
      { path: '/etc/shared', isWhole: false },
      { path: '/etc/shared/web', isWhole: true },
      { path: '/etc/web', isWhole: true },
      { path: '/var/lib', isWhole: false },
      { path: '/var/lib/web', isWhole: true },
    ]);
  });
});

describe('what the programs say of packages', () => {
  it('is read', () => {
    assert.deepEqual(parseInstalled(['libc6:amd64\tinstalled\tglibc', 'old\tconfig-files\told', '']), [
      { name: 'libc6:amd64', source: 'glibc' },
    ]);
    assert.deepEqual(parseFiles(['/.', '/etc', 'diverted by dash to: /bin/sh.distrib', '', '/etc']), ['/', '/etc']);
    assert.deepEqual(
      parseOwners([
        'diversion by dash from: /bin/sh',
        'local diversion to: /x',
        'libc6:amd64, libc6:i386: /usr/share/doc/libc6',
        'a: /x: y',
      ]),
      new Map([
        ['/usr/share/doc/libc6', ['libc6:amd64', 'libc6:i386']],
        ['/x: y', ['a']],
      ]),
    );
    assert.deepEqual(
      rpm.parseInstalled([
        'nginx-1.26.3-1.fc42.x86_64\tnginx-1.26.3-1.fc42.src.rpm',
        'package none is not installed',
        '',
      ]),
      [{ name: 'nginx-1.26.3-1.fc42.x86_64', source: 'nginx' }],
    );
    assert.deepEqual(rpm.parseOwners(['a-1-1.noarch\t', 'file /x is not owned by any package']), ['a-1-1.noarch']);
  });

  it('counts a directory once, with what is in it, by whole names', () => {
    const whole = (path: string) => ({ path, isWhole: true });
    assert.deepEqual(
      outermost([whole('/etc/a/b'), whole('/etc/ab'), whole('/etc/a'), { path: '/etc/a', isWhole: false }]),
      [whole('/etc/a'), whole('/etc/ab')],
    );
  });
});
