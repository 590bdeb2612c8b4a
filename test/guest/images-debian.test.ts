/** An image of Debian, made of its packages: root in it works as root of other engines does, and so do its users. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { layoutWith } from '../helpers/oci/busybox.js';
import { makeDebian, unlessDebian } from '../helpers/oci/debian.js';
import { testImage } from '../helpers/oci/image.js';

/** A package whose scripts do what those of packages do. @returns its file */
function makePackage(ground: string): string {
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
  const file = join(ground, 'sayer.deb');
  execFileSync('dpkg-deb', ['-b', build, file], { stdio: 'ignore' });
  return file;
}

/** A program that may read what is root's alone, by its capability. */
const CAPABLE = 'cp /usr/bin/head /usr/bin/head-of-all && setcap cap_dac_override=ep /usr/bin/head-of-all';

const AS_ANN = 'setpriv --reuid ann --regid ann --init-groups';
const AS_NOBODY = 'setpriv --reuid nobody --regid nogroup --clear-groups';

/** What the image is asked, all in one machine. */
const FACTS = {
  packages: "dpkg -l | grep -c '^ii'",
  apt: 'apt-get --version | head -n 1',
  install: 'dpkg -i /root/sayer.deb >/tmp/log 2>&1 || cat /tmp/log; dpkg-query -W sayer',
  owners: "stat -c '%U %G %a' /var/lib/sayer; stat -c %U /var/lib/sayer/data; readlink /etc/alternatives/say",
  become: 'setpriv --reuid sayer --regid sayer --init-groups say',
  unpack:
    'cd /tmp && mkdir a && chown 70000:70001 a && tar -cf a.tar a && rm -r a && tar -xpf a.tar && stat -c "%u %g" a',
  purge: 'apt-get purge -y sayer >/tmp/log 2>&1 || cat /tmp/log; ls -d /etc/sayer 2>&1 | grep -c "No such"',
  add: "useradd -m -s /bin/bash ann && printf 'ann:one\nroot:two\n' | chpasswd; stat -c '%U %a' /etc/shadow /home/ann",
  login: "su - ann -c 'id -un; pwd; echo $0 $HOME'",
  getent: 'getent passwd ann; getent group staff; getent hosts localhost',
  perl: `${AS_ANN} perl -MPOSIX=strftime -e 'print join q( ), (getpwuid $<)[0, 7], strftime q(%Y), gmtime 0'`,
  modes: "stat -c '%U %a' /usr/bin/passwd /usr/bin/su /tmp",
  // It writes to a file that only root may read.
  passwd: `printf 'one\nThree-is-new\nThree-is-new\n' | ${AS_ANN} passwd`,
  su: `echo Three-is-new | ${AS_NOBODY} su ann -c 'id -un'; echo two | ${AS_ANN} su -c 'id -u'`,
  wrong: `echo three | ${AS_ANN} su -c 'id -u'`,
  // Twice: the first keeps what root had until it starts another program.
  given: `echo two | ${AS_ANN} setpriv --no-new-privs su -c 'id -u'`,
  capable: `${AS_ANN} head-of-all -c 5 /etc/shadow`,
  plain: `${AS_ANN} head -c 5 /etc/shadow`,
  bound: `${AS_ANN} setpriv --no-new-privs head-of-all -c 5 /etc/shadow`,
} as const;

describe('an image of Debian', {
  skip: embedded.skip || unlessProgram('mkfs.erofs') || unlessDebian(),
  timeout: 600_000,
}, () => {
  const ground = mkdtempSync('/var/tmp/virt-sandbox-oci-debian-');
  let lacks: string | undefined;
  /** How many packages are in it. */
  let installed = 0;
  let found: Record<keyof typeof FACTS, string>;

  before(async () => {
    const [tar, scratch, deb] = [join(ground, 'layer.tar'), join(ground, 'scratch'), makePackage(ground)];
    mkdirSync(scratch);
    const customize = `cp '${deb}' "$1/root/" && chroot "$1" sh -c '${CAPABLE}'`;
    lacks = await makeDebian(tar, { scratch, include: 'libcap2-bin', customize });
    if (lacks !== undefined) return;
    const status = execFileSync('tar', ['-xOf', tar, './var/lib/dpkg/status'], { encoding: 'utf8' });
    installed = status.match(/^Status: install ok installed$/gm)?.length ?? 0;
    const image = testImage([readFileSync(tar)], { compression: 'none', config: { Cmd: ['bash'] } });
    rmSync(tar);
    const root = layoutWith(join(ground, 'layout'), image);
    const on = ['-c', embedded.uri, '--memory', '1G', '--root', root];
    found = await ask([...on, '-e', 'DEBIAN_FRONTEND=noninteractive'], FACTS);
  });
  after(() => rmSync(ground, { recursive: true, force: true }));

  it('installs and removes packages, with their users, owners and modes', (t) => {
    if (lacks !== undefined) return t.skip(lacks);
    assert.ok(installed > 50, String(installed));
    assert.equal(found.packages, String(installed));
    assert.match(found.apt, /^apt \d[^\n]*$/);
    assert.equal(found.install, 'sayer\t1');
    assert.equal(found.owners, 'sayer sayer 2750\nsayer\n/usr/bin/sayer');
    assert.equal(found.become, 'sayer');
    assert.equal(found.unpack, '70000 70001');
    assert.equal(found.purge, '1');
  });

  it('has users, and they log in', (t) => {
    if (lacks !== undefined) return t.skip(lacks);
    assert.equal(found.add, 'root 640\nann 700');
    assert.equal(found.login, 'ann\n/home/ann\n-bash /home/ann');
    assert.match(found.getent, /^ann:x:1000:1000::\/home\/ann:\/bin\/bash\nstaff:x:50:\n\S+\s+.*\blocalhost\b.*$/);
    assert.equal(found.perl, 'ann /home/ann 1970');
  });

  it('lets programs do what their owner or their capabilities may', (t) => {
    if (lacks !== undefined) return t.skip(lacks);
    assert.equal(found.modes, 'root 4755\nroot 4755\nroot 1777');
    assert.match(found.passwd, /password updated successfully/);
    assert.equal(found.su, 'Password: ann\nPassword: 0');
    assert.match(found.wrong, /: Authentication failure$/);
    assert.equal(found.capable, 'root:');
    assert.match(found.plain, /Permission denied$/);
  });

  it('gives nothing to who gave up new privileges', (t) => {
    if (lacks !== undefined) return t.skip(lacks);
    assert.match(found.given, /: Authentication failure$/);
    assert.match(found.bound, /Permission denied$/);
  });
});
