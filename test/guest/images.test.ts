/** The root of an OCI image: what of the image a sandbox has, and what its config does. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { busyboxImage, layoutWith, link, unlessImages } from '../helpers/oci/busybox.js';
import { testImage } from '../helpers/oci/image.js';
import { type TarEntry, tarOf } from '../helpers/oci/tar.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { BUSYBOX } from '../helpers/roots.js';
import { assertFailure, assertRun, type RunOptions, runSandbox, startSandbox } from '../helpers/run.js';

const ground = mkdtempSync('/var/tmp/virt-sandbox-oci-');
after(() => rmSync(ground, { recursive: true, force: true }));

/** A new directory that others may look into. */
function place(): string {
  const directory = mkdtempSync(join(ground, 'of-'));
  chmodSync(directory, 0o755);
  return directory;
}

function imageWith(config: object = {}, entries: readonly TarEntry[] = []): string {
  return layoutWith(place(), busyboxImage(config, entries));
}

/** CAP_NET_BIND_SERVICE, permitted and effective: struct vfs_cap_data of linux/capability.h. */
const MAY_BIND = Buffer.from('0100000200040000000000000000000000000000', 'hex');

/** What an image may have that a directory of an ordinary user has not. */
const ODD: readonly TarEntry[] = [
  { name: 'srv/', type: '5' },
  { name: 'srv/owned', data: 'x', uid: 5_000_000, gid: 70_000 },
  {
    name: 'srv/busybox-capable',
    data: readFileSync(BUSYBOX),
    mode: 0o755,
    pax: { 'SCHILY.xattr.security.capability': MAY_BIND },
  },
  { name: 'srv/one', data: 'both', mtime: 1_000_000_000 },
  { name: 'srv/other', type: '1', link: 'srv/one' },
  { name: 'srv/null', type: '3', major: 1, minor: 3, mode: 0o666 },
  { name: 'srv/pipe', type: '6' },
  { name: 'srv/secret', data: 'of root', mode: 0o600 },
  link('srv/link', 'one'),
  { name: 'home/', type: '5' },
  { name: 'home/web/', type: '5', uid: 1234, gid: 1235, mode: 0o700 },
  { name: 'run/', type: '5' },
  { name: 'run/web/', type: '5', uid: 1234, gid: 1235 },
  { name: 'tmp/', type: '5', mode: 0o1777 },
  { name: 'tmp/build', data: 'left' },
];

const ROOT_FACTS = {
  owners: "stat -c '%u %g' /srv/owned; stat -c '%U %G %a' /home/web /run/web",
  links: "stat -c '%h %Y' /srv/one /srv/other; readlink /srv/link; cat /srv/other",
  kept: 'cat /tmp/build; stat -c %a /tmp; mount | grep -c -E " on /(tmp|run) "',
  device: 'stat -c "%F %t,%T" /srv/null; echo x >/srv/null',
  pipe: 'stat -c %F /srv/pipe',
  // What engines let root do.
  change: 'echo x >/etc/made && chown 7:8 /etc/made && stat -c "%u %g" /etc/made; cat /srv/secret',
  become: "su web -c 'id -u; id -G'",
  bind: 'nc -l -p 80 >/dev/null & until netstat -ltn | grep ":80 " | wc -l | grep 1; do sleep 0.1; done; kill $!',
  admin: 'mkdir -p /mnt; mount -t tmpfs x /mnt 2>&1',
  files: 'grep localhost /etc/hosts | head -1; [ "$(cat /etc/hostname)" = "$(hostname)" ] && echo same',
  who: 'id; echo $HOME; pwd; echo $USER',
} as const;

function assertRoot(found: Record<keyof typeof ROOT_FACTS, string>): void {
  assert.equal(found.owners, '5000000 70000\nweb web 700\nweb web 755');
  assert.equal(found.links, '2 1000000000\n2 1000000000\none\nboth');
  assert.equal(found.kept, 'left1777\n0');
  assert.match(found.device, /^character special file 1,3\n.*Permission denied$/);
  assert.equal(found.pipe, 'fifo');
  assert.equal(found.change, '7 8\nof root');
  assert.equal(found.become, '1234\n1235 77');
  assert.match(found.bind, /^1$/m);
  assert.match(found.admin, /permission denied/i);
  assert.equal(found.files, '127.0.0.1\tlocalhost\nsame');
  assert.equal(found.who, 'uid=0(root) gid=0(root)\n/root\n/\nroot');
}

for (const way of [embedded, system])
  it(`has over ${way.uri} what root of the image has`, { skip: way.skip || unlessImages() }, async () => {
    const name = uniqueName();
    assertRoot(await ask(['-c', way.uri, '-n', name, '--root', imageWith({}, ODD)], ROOT_FACTS));
    await assertNothingLeft(name, way.where);
  });

describe('an image that an ordinary user runs', { skip: unlessOrdinaryUser() || unlessImages() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
    chmodSync(ground, 0o755);
  });
  after(() => user?.end());

  for (const uri of ['qemu:///session', embedded.uri])
    it(`is the same over ${uri}`, async () => {
      const name = uniqueName();
      const on = ['-c', uri, ...ACCEL, '-n', name, '--root', imageWith({}, ODD)];
      assertRoot(await ask(on, ROOT_FACTS, user.options));
      await assertNothingLeft(name, user.where);
    });

  it('must be one that the user may read', async () => {
    const directory = place();
    const root = layoutWith(directory, busyboxImage());
    chmodSync(directory, 0o700);
    const refused = await runSandbox(['-c', embedded.uri, '--root', root, '--', 'true'], user.options);
    assertFailure(refused, / image: '.*\/index\.json' cannot be read \(EACCES\); make it readable for this user$/);
  });
});

const CONFIG = {
  Entrypoint: ['/bin/sh', '-c', 'echo "$0 $*"; id; pwd; echo "$A $B $HOME $USER"; grep Cap /proc/self/status'],
  Cmd: ['said', 'by image'],
  Env: ['PATH=/bin', 'A=image', 'B=', 'HOME=/of/image'],
  User: 'web',
  WorkingDir: '/work/dir',
};
const NO_CAPABILITY = ['CapInh:\t0', 'CapPrm:\t0', 'CapEff:\t0', 'CapBnd:\t800405fb', 'CapAmb:\t0'];

describe('the config of an image', { skip: embedded.skip || unlessImages() }, () => {
  const run = async (args: readonly string[], options: RunOptions = {}): Promise<string[]> => {
    const { code, out, stderr } = await runSandbox(['-c', embedded.uri, ...args], options);
    assert.deepEqual([code, stderr], [0, '']);
    return out
      .trimEnd()
      .replaceAll(/\t0+(?=[0-9a-f])/g, '\t')
      .split('\n');
  };
  const root = imageWith(CONFIG, ODD);

  it('says what runs, as whom, where, and with which variables', async () => {
    assert.deepEqual(await run(['--root', root]), [
      'said by image',
      'uid=1234(web) gid=1235(web) groups=77(extra)',
      '/work/dir',
      'image  /of/image web',
      ...NO_CAPABILITY,
    ]);
  });

  it('has less to say than its user', async () => {
    const words = [
      '--root',
      root,
      '--user',
      '0:77',
      '-e',
      'A=given',
      '-e',
      'HOME=/root',
      '--cwd',
      '/tmp',
      '--',
      'x',
      'y',
    ];
    assert.deepEqual((await run(words)).slice(0, 4), ['x y', 'uid=0(root) gid=77(extra)', '/tmp', 'given  /root root']);
    assert.deepEqual(await run(['--root', root, '--entrypoint', 'echo', '--', 'only', 'this']), ['only this']);
    assert.deepEqual(await run(['--root', root, '--entrypoint', '', '--', 'echo', 'this']), ['this']);
    assert.deepEqual(await run(['--root', root, '--entrypoint', 'pwd']), ['/work/dir']);
    const all = await run(['--root', root, '-p']);
    assert.deepEqual(all.slice(1, 2), ['uid=0(root) gid=0(root)']);
    assert.match(all.find((line) => line.startsWith('CapEff')) ?? '', /\t[13]f{9,}$/);
  });

  it('gives the user of an image the rights of its programs', async () => {
    const found = await ask(['-c', embedded.uri, '--root', imageWith({ User: '1234' }, ODD)], {
      capable:
        '/srv/busybox-capable nc -l -p 81 >/dev/null & until netstat -ltn | grep ":81 " | wc -l | grep 1; do sleep 0.1; done; kill $!',
      incapable: 'nc -l -p 82 2>&1 | grep -c denied',
      secret: 'cat /srv/secret',
    });
    assert.match(found.capable, /^1$/m);
    assert.equal(found.incapable, '1');
    assert.match(found.secret, /Permission denied/);
  });

  for (const [what, image, args, pattern] of [
    ['no command', () => busyboxImage({ Cmd: [] }), [], /image: oci:.* names no command; name one behind --/],
    ['an unknown user', () => busyboxImage({ User: 'ada' }), ['--', 'true'], / image: .* has no user 'ada' in its /],
    ['an unknown group', () => busyboxImage(), ['--user', '0:x', '--', 'true'], / image: .* has no group 'x' in its /],
    ['a user and -p', () => busyboxImage(), ['-p', '--user', '1', '--', 'true'], / config: .* --user 1; leave out one/],
    ['something to hide', () => busyboxImage(), ['--hide', '/etc', '--', 'true'], / config: .*leave out --hide$/],
    ['another root', () => busyboxImage(), ['-m', 'ram:/=5M', '--', 'true'], / config: .*leave out the mount, or the /],
    [
      'another platform',
      () => busyboxImage(),
      ['--platform', 'arm64', '--', 'true'],
      / image: .*only for linux\/amd64/,
    ],
  ] as const)
    it(`is refused with ${what}`, async () => {
      const refused = await runSandbox(['-c', embedded.uri, '--root', layoutWith(place(), image()), ...args]);
      assertFailure(refused, pattern);
    });
});

describe('an image', { skip: embedded.skip || unlessImages() }, () => {
  it('of one program has what a system needs made for it', async () => {
    const bare = testImage([tarOf({ name: 'busybox', data: readFileSync(BUSYBOX), mode: 0o755 })], {
      config: { Entrypoint: ['/busybox', 'sh', '-c'], WorkingDir: '/w' },
    });
    const script =
      'pwd; /busybox ls /; /busybox stat -c %a /tmp; /busybox cat /etc/resolv.conf | /busybox grep -c nameserver';
    const facts = '/busybox ls -l /dev/null /proc/1/comm; /busybox cat /etc/hostname; echo $PATH';
    const name = uniqueName();
    const root = layoutWith(place(), bare);
    const ran = await runSandbox([
      '-c',
      embedded.uri,
      '-n',
      name,
      '-N',
      'dhcp',
      '--root',
      root,
      '--',
      `${script}; ${facts}`,
    ]);
    assert.equal(ran.stderr, '');
    const lines = ran.out.trimEnd().split('\n');
    assert.deepEqual(lines.slice(0, 11), [
      '/w',
      'busybox',
      'dev',
      'etc',
      'proc',
      'run',
      'sys',
      'tmp',
      'w',
      '1777',
      '1',
    ]);
    assert.deepEqual(lines.slice(-2), [name, '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']);
  });

  it('publishes what it exposes, at free ports', async () => {
    const root = imageWith({
      Cmd: ['sh', '-c', 'echo hello >/tmp/index.html; httpd -f -p 8080 -h /tmp'],
      ExposedPorts: { '8080/tcp': {}, '9000/sctp': {} },
    });
    const running = startSandbox(['-c', embedded.uri, '-N', 'dhcp', '--publish-all', '--root', root]);
    const [, at = ''] = await running.untilError(/port 8080 is at (\S+)/);
    const answer = async (): Promise<string> => {
      try {
        return await (await fetch(`http://${at}/`)).text();
      } catch {
        // It does not listen yet.
        return '';
      }
    };
    let text = await answer();
    while (text === '' && running.child.exitCode === null) text = await answer();
    running.child.kill('SIGTERM');
    await running.result;
    assert.equal(text, 'hello\n');
  });

  it('has mounts, files and a home of the host', async () => {
    const share = place();
    writeFileSync(join(share, 'of-host'), 'from the host');
    const home = join(place(), 'new', 'home');
    const include = join(share, 'of-host');
    const words = ['-c', embedded.uri, '--root', imageWith(), '-m', `host-bind:/mnt=${share}`];
    const facts = {
      bind: 'cat /mnt/of-host; echo from inside >/mnt/made',
      include: 'cat /srv/included',
      home: 'echo kept >$HOME/kept; echo $HOME',
    };
    const including = ['-m', 'ram:/srv=1M', '-i', `/srv/included=${include}`, '--home', home];
    const found = await ask([...words, ...including], facts);
    assert.deepEqual(found, { bind: 'from the host', include: 'from the host', home: '/root' });
    assert.equal(readFileSync(join(share, 'made'), 'utf8'), 'from inside\n');
    assert.equal(readFileSync(join(home, 'kept'), 'utf8'), 'kept\n');
    const inMemory = await ask([...words, '--home', 'tmp'], { home: 'mount | grep -c " on /root type tmpfs"' });
    assert.equal(inMemory.home, '1');
  });

  it('leaves nothing behind of what it has written', async () => {
    const root = imageWith();
    assertRun(await runSandbox(['-c', embedded.uri, '--root', root, '--', 'touch', '/made']), 0, '');
    const again = await runSandbox(['-c', embedded.uri, '--root', root, '--', 'ls', '/made']);
    assert.equal(again.code, 1);
  });
});
