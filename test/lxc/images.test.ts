/** Containers whose root is an OCI image: owners, capabilities, what is written, and what the host may lack. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { ctl, endDetached } from '../helpers/ctl.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, leftAtLast, uniqueName } from '../helpers/leftovers.js';
import { scratchImage, unlessBusyboxImage } from '../helpers/oci/root-images.js';
import type { TarEntry } from '../helpers/oci/tar.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';

const skip = lxc.skip || unlessBusyboxImage;
/** What podman gives root of a container: init/common/oci-root.ts */
const CAPABILITIES = '00000000800405fb';

const ENTRIES: readonly TarEntry[] = [
  { name: 'home/', type: '5' },
  { name: 'home/web/', type: '5', uid: 1234, gid: 1235, mode: 0o700 },
  { name: 'run/', type: '5' },
  { name: 'run/web/', type: '5', uid: 1234, gid: 1235 },
  { name: 'tmp/', type: '5', mode: 0o1777 },
  { name: 'tmp/left', data: 'of the build\n' },
  { name: 'etc/secret', data: 'of root\n', mode: 0o600 },
];

/** Runs with a store of its own. */
function how(t: TestContext) {
  return { ...lxc.options, env: { XDG_CACHE_HOME: scratchDirectory(t) } };
}

const SHELL = { shell: ['/bin/sh'] } as const;

describe('an image as the root of a container', { skip, concurrency: 2 }, () => {
  it('runs what the image says, as whom and where it says', async (t) => {
    const image = scratchImage(t, ENTRIES, {
      Cmd: [
        'sh',
        '-c',
        'id; pwd; echo $A $HOME; stat -c "%U %G %a" . /home/web; cat /tmp/left; ls /run; ls -A /dev/.sandbox/*',
      ],
      Env: ['PATH=/bin', 'A=of-the-image'],
      User: 'web',
      WorkingDir: '/srv/work',
    });
    const name = uniqueName();
    const options = how(t);
    const result = await runSandbox(['-c', lxc.uri, '-n', name, '--root', image], options);
    assertRun(
      result,
      0,
      'uid=1234(web) gid=1235(web) groups=77(extra)\n/srv/work\nof-the-image /home/web\n' +
        'root root 755\nweb web 700\nof the build\nweb\n',
    );
    await assertNothingLeft(name, lxc.where);
    const loops = () => execFileSync('losetup', ['--list', '--noheadings'], { encoding: 'utf8' }).split('\n');
    const store = options.env.XDG_CACHE_HOME;
    assert.deepEqual(await leftAtLast(() => loops().filter((line) => line.includes(store))), []);
  });

  it('belongs to the users inside, who are nobody on the host', async (t) => {
    const args = ['-c', lxc.uri, '--root', scratchImage(t, ENTRIES)];
    const facts = {
      map: 'cat /proc/self/uid_map',
      owners: 'stat -c "%u %g" / /bin/busybox /etc/secret /home/web /proc /dev/null | sort | uniq',
      read: 'cat /etc/secret',
      write: 'echo more >> /etc/secret; cat /etc/secret',
      give: 'touch /new; chown 1234:77 /new /etc/passwd; stat -c "%U %G" /new /etc/passwd',
      top: 'stat -c %a /',
      names: 'cat /etc/hostname; head -n 1 /etc/hosts',
    };
    const options = { ...how(t), ...SHELL };
    const found = await ask(args, facts, options);
    const [inside, outside, count] = found.map.trim().split(/ +/).map(Number);
    assert.deepEqual([inside, count], [0, 65_536]);
    assert.ok(Number(outside) >= 0x7c00_0000, found.map);
    assert.equal(found.owners, '0 0\n1234 1235\n65534 65534');
    assert.equal(found.read, 'of root');
    assert.equal(found.write, 'of root\nmore');
    assert.equal(found.give, 'web extra\nweb extra');
    assert.equal(found.top, '755');
    assert.match(found.names, /^sandbox-\w+\n127\.0\.0\.1\tlocalhost$/);
    // A user of the image who is one of the host too is nobody there all the same.
    const user = await ask(
      [...args, '--user', '1000:1000'],
      { map: facts.map, id: 'id -u', read: facts.read },
      options,
    );
    assert.match(user.map, /^ *0 +\d{10} +65536$/);
    assert.deepEqual([user.id, user.read], ['1000', "cat: can't open '/etc/secret': Permission denied"]);
  });

  it('gives root the capabilities that images want, inside', async (t) => {
    const image = scratchImage(t, [
      { name: 'srv/', type: '5' },
      { name: 'srv/page', data: 'a page\n' },
    ]);
    const args = ['-c', lxc.uri, '--root', image];
    const STATUS = 'grep -E "^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):" /proc/self/status | cut -f2';
    const found = await ask(
      args,
      {
        status: STATUS,
        root: 'mkdir /jail; cp -r /bin /jail; chroot /jail /bin/ls /',
        ports: 'httpd -p 80 -h /srv && wget -q -O - http://127.0.0.1/page',
        user: 'awk "BEGIN {print 1}" >/dev/null; kill -0 $$ && echo mine',
      },
      { ...how(t), ...SHELL },
    );
    const none = '0'.repeat(16);
    const own = [none, CAPABILITIES, CAPABILITIES, CAPABILITIES, none, '0', '2'];
    assert.equal(found.status, own.join('\n'));
    assert.deepEqual([found.root, found.ports, found.user], ['bin', 'a page', 'mine']);
    const user = await ask([...args, '--user', 'web'], { status: STATUS }, { ...how(t), ...SHELL });
    assert.equal(user.status, [none, none, none, CAPABILITIES, none, '0', '2'].join('\n'));
  });

  it('starts further processes as the command was started', async (t) => {
    const options = how(t);
    const name = uniqueName();
    const image = scratchImage(t, ENTRIES, { User: 'web' });
    assertRun(
      await runSandbox(['-c', lxc.uri, '-n', name, '--detach', '--root', image, '--', 'sleep', '1000'], options),
      0,
      `${name}\n`,
    );
    try {
      assertRun(await ctl(['exec', name, '--', 'id', '-u'], options), 0, '1234\n');
      const script = 'grep CapEff /proc/self/status; cat /etc/secret; cat /proc/1/environ';
      const { out, stderr } = await ctl(['exec', '--user', 'root', name, '--', 'sh', '-c', script], options);
      assert.equal(out, `CapEff:\t${CAPABILITIES}\nof root\n`);
      assert.match(stderr, /\/proc\/1\/environ': Permission denied/);
      const file = join(scratchDirectory(t), 'file');
      writeFileSync(file, 'copied\n');
      assertRun(await ctl(['cp', file, `${name}:/home/web/file`], options), 0, '');
      assertRun(await ctl(['exec', name, '--', 'cat', '/home/web/file'], options), 0, 'copied\n');
    } finally {
      assertRun(await ctl(['stop', name], options), 0, `${name}\n`);
    }
    await assertNothingLeft(name, lxc.where);
  });

  it('says what it has changed of the image, whoever its user is', async (t) => {
    const options = how(t);
    const image = scratchImage(t, ENTRIES, { User: 'web' });
    for (const kept of [[], [`--overlay=${join(scratchDirectory(t, WITH_ATTRIBUTES), 'kept')}`]]) {
      const name = uniqueName();
      const words = ['-n', name, '--detach', '--root', image, ...kept, '--', 'sleep', '1000'];
      assertRun(await runSandbox(['-c', lxc.uri, ...words], options), 0, `${name}\n`);
      try {
        const script = 'touch /home/web/new; chown web /etc/secret; chown root:root /etc/passwd; rm /tmp/left';
        assertRun(await ctl(['exec', '--user', 'root', name, '--', 'sh', '-c', script], options), 0, '');
        const { out } = await ctl(['diff', name], options);
        const lines = out.split('\n').filter((line) => /secret|passwd|new|left/.test(line));
        assert.deepEqual(lines, ['C /etc/secret', 'A /home/web/new', 'D /tmp/left']);
      } finally {
        assertRun(await ctl(['stop', name], options), 0, `${name}\n`);
      }
    }
  });

  it('keeps what is written in a directory, for that image and that kind of container', async (t) => {
    const options = how(t);
    const kept = `--overlay=${join(scratchDirectory(t, WITH_ATTRIBUTES), 'kept')}`;
    const image = scratchImage(t, ENTRIES);
    const run = (root: string, ...words: string[]) =>
      runSandbox(['-c', lxc.uri, '--root', root, kept, ...words], options);
    const write = 'echo more >> /etc/secret; chown web /etc/secret; rm /tmp/left; echo new > /new';
    assertRun(await run(image, '--', 'sh', '-c', write), 0, '');
    const look = 'cat /etc/secret /new; stat -c "%U %G %a" /etc/secret /new; ls /tmp; cat /etc/hostname';
    const again = await run(image, '-n', 'again', '--', 'sh', '-c', look);
    assertRun(again, 0, 'of root\nmore\nnew\nweb root 600\nroot root 644\nagain\n');
    const { uid, gid } = statSync(`${kept.slice('--overlay='.length)}/layers/mounts/%2F/upper/etc/secret`);
    assert.deepEqual([uid, gid], [1234, 0]);
    assertFailure(await run(scratchImage(t), '--', 'true'), /belongs to the (root|image)/);
    assertFailure(await run(image, '-p', '--', 'true'), /its programs would be root of this host/);
  });

  it('is root of the host with -p, and says so', async (t) => {
    const image = scratchImage(t, ENTRIES, { User: 'web' });
    const script = 'cat /etc/secret; cat /proc/self/uid_map; touch /new; stat -c %u /new';
    const { code, out, stderr } = await runSandbox(
      ['-c', lxc.uri, '-p', '--root', image, '--', 'sh', '-c', script],
      how(t),
    );
    assert.deepEqual([code, out.replace(/ +/g, ' ')], [0, 'of root\n 0 0 4294967295\n0\n']);
    assert.match(stderr, /^virt-sandbox: warning: a privileged container is no barrier.*\n$/);
  });

  it("gives a user of a privileged one nothing of the host's root", async (t) => {
    const options = how(t);
    const name = uniqueName();
    const words = [
      '--detach',
      '-c',
      lxc.uri,
      '-n',
      name,
      '-p',
      '--root',
      scratchImage(t, ENTRIES),
      '--',
      'sleep',
      '1000',
    ];
    const started = await runSandbox(words, options);
    t.after(() => endDetached(name, options));
    assert.equal(started.code, 0, started.stderr);
    const status = 'grep -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status | cut -f2';
    const { out } = await ctl(['exec', '--user', 'web', name, '--', 'sh', '-c', status], options);
    assert.equal(out, `${'0'.repeat(16)}\n${'0'.repeat(16)}\n1\n`);
  });

  it('has mounts whose files have their owners, whoever its user is', async (t) => {
    const host = scratchDirectory(t);
    for (const [name, owner] of [
      ['of-web', 1234],
      ['of-root', 0],
    ] as const) {
      writeFileSync(join(host, name), `${name}\n`, { mode: 0o600 });
      chownSync(join(host, name), owner, owner);
    }
    mkdirSync(join(host, 'dir'), { mode: 0o777 });
    chownSync(join(host, 'dir'), 1234, 1235);
    const args = [
      '-c',
      lxc.uri,
      '--root',
      scratchImage(t, ENTRIES),
      '--user',
      'web',
      '-m',
      `host-bind:/srv/host=${host}`,
    ];
    const found = await ask(
      args,
      { read: 'cat /srv/host/of-web; cat /srv/host/of-root', write: 'echo made > /srv/host/dir/made' },
      { ...how(t), ...SHELL },
    );
    assert.match(found.read, /^of-web\n.*Permission denied$/);
    assert.equal(readFileSync(join(host, 'dir/made'), 'utf8'), 'made\n');
    assert.equal(statSync(join(host, 'dir/made')).uid, 1234);
  });

  it('is refused with a root shell beside it', async (t) => {
    const image = scratchImage(t);
    const run = (...words: string[]) => runSandbox(['-c', lxc.uri, '--root', image, ...words, '--', 'true'], how(t));
    assertFailure(await run('--shell'), /would be root of this host, and a program of the image/);
    assertRun(await run(), 0, '');
  });
});
