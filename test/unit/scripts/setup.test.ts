/** scripts/setup, with package managers that only record their arguments. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { hidden } from '../../helpers/hide.js';
import { REPOSITORY } from '../../helpers/run.js';
import { scratchDirectory, unlessRoot } from '../../helpers/scratch.js';

const SETUP = `${REPOSITORY}scripts/setup`;

/** Runs the script with these stand-ins first in PATH, and without the programs of `without`. */
function setup(t: TestContext, set: string, managers: readonly string[], without: readonly string[], user?: string) {
  const directory = scratchDirectory(t);
  const log = join(directory, 'log');
  writeFileSync(log, '', { mode: 0o666 });
  for (const name of managers) {
    writeFileSync(join(directory, name), `#!/bin/sh\necho ${name} "$@" >> ${log}\n`, { mode: 0o755 });
  }
  const as = user === undefined ? [] : ['setpriv', `--reuid=${user}`, '--clear-groups'];
  const [command = '', ...args] = [...(without.length === 0 ? [] : hidden(...without)), ...as, SETUP, set];
  const env = { ...process.env, PATH: `${directory}:${process.env['PATH']}` };
  const { status, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8', env, timeout: 60_000 });
  return { status, stdout, stderr, asked: readFileSync(log, 'utf8') };
}

/** What the archive has of nginx: the newest version twice, as after a point release, and one without its program. */
const ARCHIVE = [
  'nginx | 1.11 | https://host Sources',
  ...['1.10', '1.10', '1.9', '1.8'].map((version) => `nginx | ${version} | https://host Packages`),
]
  .map((line) => `echo '${line}'`)
  .join('\n');

/** A clone that has the script alone, and programs that record their arguments and run these scripts. */
function clone(t: TestContext, answers: Readonly<Record<string, string>>) {
  const directory = scratchDirectory(t);
  mkdirSync(join(directory, 'scripts'));
  const script = join(directory, 'scripts/setup');
  copyFileSync(SETUP, script);
  const log = join(directory, 'log');
  for (const [name, answer] of Object.entries(answers))
    writeFileSync(join(directory, name), `#!/bin/sh\necho ${name} "$@" >> ${log}\n${answer}\n`, { mode: 0o755 });
  const env = { ...process.env, PATH: `${directory}:${process.env['PATH']}` };
  const again = () => {
    const { status, stderr } = spawnSync(script, ['test'], { encoding: 'utf8', env, timeout: 60_000 });
    return { status, stderr, asked: readFileSync(log, 'utf8') };
  };
  return { directory, again };
}

const mustHide = unlessRoot('hides programs behind mounts');
const unlessApt = existsSync('/usr/bin/apt-get') ? false : 'this is no Debian';

describe('scripts/setup', { skip: unlessApt }, () => {
  for (const set of ['run', 'test']) {
    it(`does nothing for ${set} when nothing is missing`, (t) => {
      assert.deepEqual(setup(t, set, ['apt-get'], []), { status: 0, stdout: '', stderr: '', asked: '' });
    });
  }

  it('refuses an unknown set', (t) => {
    const { status, stderr } = setup(t, 'everything', ['apt-get'], []);
    assert.equal(status, 1);
    assert.match(stderr, /usage/);
  });

  it('installs what is missing, and only that, after an update', { skip: mustHide }, (t) => {
    const { status, stderr, asked } = setup(t, 'test', ['apt-get'], ['/usr/bin/lz4', '/usr/bin/virsh']);
    assert.equal(asked, 'apt-get update\napt-get install -y --no-install-recommends lz4 libvirt-clients\n');
    // The stand-in installs nothing, and the script notices.
    assert.equal(status, 1);
    assert.match(stderr, /still missing after installation: lz4 libvirt-clients/);
  });

  it('downloads the packages that are only unpacked, and goes on without them', (t) => {
    const { directory, again } = clone(t, { 'apt-get': '', 'apt-cache': ARCHIVE });
    const { status, stderr, asked } = again();
    assert.equal(status, 0, stderr);
    const selinux = 'apt-get download selinux-policy-default policycoreutils selinux-utils\n';
    const nginx = 'apt-cache madison nginx\napt-get download nginx=1.10 nginx-common=1.10\n';
    const twice = (one: string) => `${one}apt-get update\n${one}`;
    assert.equal(asked, twice(selinux) + twice(nginx));
    for (const what of ['SELinux', 'nginx']) assert.match(stderr, new RegExp(`the tests of ${what} are skipped`));
    assert.deepEqual(readdirSync(join(directory, 'build')), []);
  });

  it('unpacks the newest two versions of nginx, and nothing the next time', (t) => {
    const download = '[ "$1" = download ] || exit 1; shift; for name; do touch "$name.deb"; done';
    const answers = { 'apt-get': download, 'apt-cache': ARCHIVE, 'dpkg-deb': 'touch "$3/of-$2"' };
    const { directory, again } = clone(t, answers);
    const unpacked = 'setup: unpacking SELinux\nsetup: unpacking nginx\n';
    for (const expected of [unpacked, '']) {
      const { status, stderr } = again();
      assert.deepEqual([status, stderr], [0, expected]);
    }
    for (const [name, version] of Object.entries({ newer: '1.10', older: '1.9' }))
      assert.deepEqual(readdirSync(join(directory, 'build/nginx', name, 'root')).sort(), [
        `of-nginx-common=${version}.deb`,
        `of-nginx=${version}.deb`,
      ]);
  });

  it('does not install packages of another set', { skip: mustHide }, (t) => {
    assert.deepEqual(setup(t, 'run', ['apt-get'], ['/usr/bin/lz4']), { status: 0, stdout: '', stderr: '', asked: '' });
  });

  it('prints the packages for a user who is not root', { skip: mustHide }, (t) => {
    const { status, stderr, asked } = setup(t, 'test', ['apt-get'], ['/usr/bin/lz4'], '65534');
    assert.deepEqual({ status, asked }, { status: 1, asked: '' });
    assert.match(stderr, /as root.*apt-get install lz4/);
  });

  for (const [manager, words] of [
    ['dnf', 'dnf install'],
    ['pacman', 'pacman -S'],
    ['zypper', 'zypper install'],
  ] as const) {
    it(`prints the packages for a user of ${manager}, and stops`, { skip: mustHide }, (t) => {
      const { status, stderr, asked } = setup(t, 'test', [manager], ['/usr/bin/apt-get', '/usr/bin/lz4']);
      assert.deepEqual({ status, asked }, { status: 1, asked: '' });
      assert.ok(stderr.includes(words), stderr);
      assert.match(stderr, /lz4/);
    });
  }
});
