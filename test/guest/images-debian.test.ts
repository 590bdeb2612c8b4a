/** An image like those of a distribution, from files of this host: root in it works as root of other engines does. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { unlessImages } from '../helpers/oci/busybox.js';

const ground = mkdtempSync('/var/tmp/virt-sandbox-oci-debian-');
const tree = join(ground, 'tree');
after(() => rmSync(ground, { recursive: true, force: true }));

const PROGRAMS = [
  'bash sh env cat chmod chown cp cut du echo find grep id install ln ls mkdir mv readlink rm sed sort stat',
  'su tar touch tr true uname dpkg dpkg-deb dpkg-query dpkg-split dpkg-divert update-alternatives diff',
  'gzip setpriv useradd groupadd perl start-stop-daemon ldconfig',
].flatMap((line) => line.split(' '));
const DIRECTORIES = [
  'etc/alternatives etc/default root tmp var/lib/dpkg/info var/lib/dpkg/updates',
  'var/lib/dpkg/alternatives var/lib/dpkg/triggers var/log home var/cache etc/pam.d etc/security',
].flatMap((line) => line.split(' '));

const AS_WEB = 'setpriv --reuid web --regid web --clear-groups';

function unlessDebian(): string | false {
  return existsSync('/var/lib/dpkg/status') ? unlessProgram('dpkg-deb', 'ldd') : 'this host has no dpkg';
}

/** The path of a program of this host; undefined: it has none. */
function pathOf(program: string): string | undefined {
  return ['/usr/bin', '/usr/sbin'].map((directory) => join(directory, program)).find(existsSync);
}

/** The libraries that a program is linked with. */
function librariesOf(path: string): string[] {
  try {
    const text = execFileSync('ldd', [path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return [...text.matchAll(/(\/\S+) \(0x/g)].flatMap(([, found]) => found ?? []);
  } catch {
    // A script, or a static one.
    return [];
  }
}

function copy(path: string): void {
  const target = join(tree, 'usr', path.replace(/^\/usr\//, '').replace(/^\//, ''));
  mkdirSync(dirname(target), { recursive: true });
  if (!existsSync(target)) cpSync(realpathSync(path), target);
}

/** A package whose scripts do what those of packages do. */
function makePackage(): void {
  const build = join(ground, 'package');
  for (const name of ['DEBIAN', 'usr/bin', 'var/lib/sayer', 'etc/sayer'])
    mkdirSync(join(build, name), { recursive: true });
  const control = ['Package: sayer', 'Version: 1', 'Architecture: all', 'Maintainer: x <x@example.org>'];
  writeFileSync(join(build, 'DEBIAN/control'), `${[...control, 'Description: says'].join('\n')}\n`);
  writeFileSync(join(build, 'DEBIAN/conffiles'), '/etc/sayer/conf\n');
  const script = [
    '#!/bin/sh',
    'set -e',
    'groupadd --system sayer && useradd --system -g sayer -d /var/lib/sayer -s /bin/sh sayer',
    'chown -R sayer:sayer /var/lib/sayer',
    'chmod 2750 /var/lib/sayer',
    'update-alternatives --install /usr/bin/say say /usr/bin/sayer 10',
    'ldconfig',
  ];
  writeFileSync(join(build, 'DEBIAN/postinst'), `${script.join('\n')}\n`, { mode: 0o755 });
  writeFileSync(join(build, 'usr/bin/sayer'), '#!/bin/sh\nid -un\n', { mode: 0o755 });
  writeFileSync(join(build, 'etc/sayer/conf'), 'x\n');
  writeFileSync(join(build, 'var/lib/sayer/data'), 'x\n');
  execFileSync('dpkg-deb', ['-b', build, join(tree, 'root/sayer.deb')], { stdio: 'ignore' });
}

before(() => {
  if (unlessDebian() || unlessImages()) return;
  for (const name of ['usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', ...DIRECTORIES])
    mkdirSync(join(tree, name), { recursive: true });
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) execFileSync('ln', ['-s', `usr/${name}`, join(tree, name)]);
  const programs = PROGRAMS.flatMap((name) => pathOf(name) ?? []);
  for (const path of [...programs, ...new Set(programs.flatMap(librariesOf))]) copy(path);
  const nss = execFileSync('sh', ['-c', 'ls /usr/lib/*/libnss_files* /usr/lib/*/libnss_compat* 2>/dev/null || true'], {
    encoding: 'utf8',
  });
  for (const path of nss.split('\n').filter((line) => line !== '')) copy(path);
  writeFileSync(join(tree, 'var/lib/dpkg/status'), '');
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/bash\nweb:x:1000:1000::/home/web:/bin/sh\n');
  writeFileSync(join(tree, 'etc/group'), 'root:x:0:\nweb:x:1000:\n');
  writeFileSync(join(tree, 'etc/shadow'), 'root:*:1::::::\nweb:*:1::::::\n', { mode: 0o640 });
  writeFileSync(join(tree, 'etc/nsswitch.conf'), 'passwd: files\ngroup: files\nshadow: files\n');
  cpSync(join(tree, 'usr/bin/id'), join(tree, 'usr/bin/id-of-root'));
  execFileSync('chmod', ['4755', join(tree, 'usr/bin/id-of-root')]);
  makePackage();
  execFileSync('tar', ['--numeric-owner', '-cf', join(ground, 'root.tar'), '-C', tree, '.']);
});

it('installs a package, with its users, owners and modes', {
  skip: embedded.skip || unlessImages() || unlessDebian(),
}, async () => {
  const on = ['-c', embedded.uri, '--memory', '1G', '--root', `tar:${join(ground, 'root.tar')}`];
  const found = await ask([...on, '-e', 'DEBIAN_FRONTEND=noninteractive'], {
    install: 'dpkg -i /root/sayer.deb >/tmp/log 2>&1 || cat /tmp/log; dpkg-query -W sayer',
    owners: "stat -c '%U %G %a' /var/lib/sayer; stat -c %U /var/lib/sayer/data; readlink /etc/alternatives/say",
    become: 'setpriv --reuid sayer --regid sayer --init-groups say',
    setuid: `${AS_WEB} id-of-root -u; ${AS_WEB} --no-new-privs id-of-root -u`,
    unpack:
      'cd /tmp && mkdir a && chown 70000:70001 a && tar -cf a.tar a && rm -r a && tar -xpf a.tar && stat -c "%u %g" a',
    remove: 'dpkg --purge sayer >/tmp/log 2>&1 || cat /tmp/log; ls -d /etc/sayer 2>&1 | grep -c "No such"',
  });
  assert.equal(found.install, 'sayer\t1');
  assert.equal(found.owners, 'sayer sayer 2750\nsayer\n/usr/bin/sayer');
  assert.equal(found.become, 'sayer');
  // A set-user-ID program makes root, unless that was given up.
  assert.equal(found.setuid, '0\n1000');
  assert.equal(found.unpack, '70000 70001');
  assert.equal(found.remove, '1');
});
