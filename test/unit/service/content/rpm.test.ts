/** Packages as rpm itself has them, in a root of a test. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { rpmOf } from '../../../../src/service/content/rpm.js';
import { findInPath } from '../../../../src/util/programs.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const SPEC = `Name: web-common
Version: 1.2
Release: 3
Summary: A test
License: none
BuildArch: noarch
%description
A test.
%install
mkdir -p %{buildroot}/etc/web %{buildroot}/var/lib/web
printf text >%{buildroot}/etc/web/web.conf
printf odd >'%{buildroot}/etc/web/a b'
ln -s web.conf %{buildroot}/etc/web/link
%package -n web
Summary: Another one
%description -n web
Another one.
%files
%config /etc/web/web.conf
"/etc/web/a b"
/etc/web/link
%files -n web
/var/lib/web
`;

const skip =
  unlessRoot('rpm --root is its') ||
  (findInPath('rpm') === undefined || findInPath('rpmbuild') === undefined ? 'there is no rpm and rpmbuild' : false);

describe('rpm', { skip }, () => {
  it('answers what is installed, whose files they are, and their digests', async (context) => {
    const [root, above] = [scratchDirectory(context), scratchDirectory(context)];
    assert.equal(rpmOf(root), undefined);
    const spec = join(above, 'web.spec');
    writeFileSync(spec, SPEC);
    const quiet = { stdio: 'ignore' } as const;
    const own = [`_topdir ${above}/build`, `_dbpath ${above}/db`].flatMap((macro) => ['--define', macro]);
    execFileSync('rpmbuild', ['-bb', ...own, spec], quiet);
    const built = join(above, 'build/RPMS/noarch');
    const files = readdirSync(built).map((name) => join(built, name));
    assert.equal(files.length, 2);
    execFileSync('rpm', ['--root', root, '-i', '--nodeps', ...files], quiet);

    const manager = rpmOf(root) ?? assert.fail('it has no database where one is looked for');
    const common = 'web-common-1.2-3.noarch';
    const sorted = (await manager.installed()).sort((one, other) => (one.name < other.name ? -1 : 1));
    assert.deepEqual(sorted, [
      { name: 'web-1.2-3.noarch', source: 'web-common' },
      { name: common, source: 'web-common' },
    ]);
    assert.deepEqual(await manager.installed('web-common'), [{ name: common, source: 'web-common' }]);
    assert.deepEqual(await manager.installed('none'), []);
    assert.deepEqual((await manager.files([common])).sort(), ['/etc/web/a b', '/etc/web/link', '/etc/web/web.conf']);
    const owners = await manager.owners(['/etc/web/a b', '/var/lib/web', '/etc/none']);
    assert.deepEqual(
      [...owners],
      [
        ['/etc/web/a b', [common]],
        ['/var/lib/web', ['web-1.2-3.noarch']],
      ],
    );
    const digest = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
    assert.deepEqual([...(await manager.digests())].sort(), [
      ['/etc/web/a b', digest('odd')],
      ['/etc/web/web.conf', digest('text')],
    ]);
  });
});
