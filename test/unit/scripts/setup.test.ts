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
    const directory = scratchDirectory(t);
    mkdirSync(join(directory, 'scripts'));
    const script = join(directory, 'scripts/setup');
    copyFileSync(SETUP, script);
    const log = join(directory, 'log');
    writeFileSync(join(directory, 'apt-get'), `#!/bin/sh\necho apt-get "$@" >> ${log}\n`, { mode: 0o755 });
    const env = { ...process.env, PATH: `${directory}:${process.env['PATH']}` };
    const run = spawnSync(script, ['test'], { encoding: 'utf8', env, timeout: 60_000 });
    assert.equal(run.status, 0, run.stderr);
    assert.equal(
      readFileSync(log, 'utf8'),
      'apt-get download selinux-policy-default policycoreutils selinux-utils nginx\n',
    );
    assert.match(run.stderr, /the tests of SELinux and of nginx are skipped/);
    assert.deepEqual(readdirSync(join(directory, 'build')), []);
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
