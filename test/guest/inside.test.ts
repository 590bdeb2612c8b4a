/** What the command finds around itself. One boot tells many facts, one a line. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { homedir, userInfo } from 'node:os';
import { before, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { askInside, assertCapabilities, CAPABILITIES } from '../helpers/inside.js';
import { uniqueName } from '../helpers/leftovers.js';
import { assertRun, runSandbox } from '../helpers/run.js';

const WRITABLE = ['/tmp', '/run', '/dev/shm'];

describe('inside, as root', { skip: embedded.skip }, () => {
  const name = uniqueName();
  const facts = {
    // First, since what runs later may write there.
    ...Object.fromEntries(
      WRITABLE.flatMap((path) => [
        [`type ${path}`, `grep ' ${path} ' /proc/mounts | tail -n 1 | cut -d' ' -f3`],
        [`empty ${path}`, `ls -A ${path}`],
      ]),
    ),
    ...CAPABILITIES,
    ids: 'id',
    hostname: 'hostname || cat /proc/sys/kernel/hostname',
    hostnameFile: 'cat /proc/sys/kernel/hostname',
    parent: 'cat /proc/1/comm',
    cwd: 'pwd',
    environment: `env | grep -vE '^(_|PWD|OLDPWD|SHLVL)=' | sort | tr '\\n' ' '`,
    kernelArguments: 'cat /proc/cmdline',
    write: 'touch /virt-sandbox-test-was-here && echo written',
    rootOptions: `grep ' / ' /proc/mounts | tail -n 1`,
    remount: 'mount -o remount,rw / && echo remounted',
    loFlags: 'cat /sys/class/net/lo/flags',
    links: 'ls /sys/class/net | tr "\\n" " "',
    lo: 'busybox nc -w 2 127.0.0.1 9',
    descriptors: 'ls /proc/self/fd | tr "\\n" " "',
    devFd: 'readlink /dev/fd; echo through | cat /dev/fd/0',
    devStdout: 'echo through > /dev/stdout',
    processes: 'ls /proc/1/status',
    sys: 'ls -d /sys/class',
    tty: 'tty',
    ptmx: 'ls -l /dev/pts/ptmx | cut -c1-10',
    null: 'echo gone > /dev/null; echo there',
    date: 'date +%s',
    'write /tmp': 'echo kept > /tmp/x && cat /tmp/x',
    'write /dev/shm': 'echo kept > /dev/shm/x && cat /dev/shm/x',
    'mode /tmp': 'stat -c %a /tmp',
    'mode /dev/shm': 'stat -c %a /dev/shm',
    'no orphan': 'sh -c "sleep 0.1 & "; sleep 1; ps -o stat= 2>/dev/null | grep -c Z; true',
    hostFile: 'cat /etc/passwd | head -n 1',
    random: 'head -c 16 /dev/urandom | wc -c',
  } as const;
  let found: Record<string, string> = {};
  before(async () => {
    found = await askInside(embedded, ['-n', name], facts);
  });

  it('is who called, with the same groups', () => {
    const id = execFileSync('id', { encoding: 'utf8' }).trim();
    assert.equal(found['ids'], id);
  });

  it('has no capability, not even as root', () => {
    assertCapabilities(found as Record<keyof typeof CAPABILITIES, string>, 'none');
  });

  it('is called as its domain', () => assert.equal(found['hostnameFile'], name));

  it('has the usual environment and nothing of the kernel arguments', () => {
    const { username } = userInfo();
    const variables = [
      `HOME=${process.env['HOME'] ?? homedir()}`,
      `LOGNAME=${username}`,
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      `USER=${username}`,
      `USERNAME=${username}`,
    ];
    assert.equal(found['environment']?.trim(), variables.join(' '));
  });

  it('has nothing that a person wrote on the kernel command line', () => {
    assert.doesNotMatch(found['kernelArguments'] ?? '', /printf|sh -c|PATH|HOME/);
  });

  it('begins in the home directory', () => assert.equal(found['cwd'], process.env['HOME'] ?? homedir()));

  it('cannot write to the root', () => {
    assert.match(found['write'] ?? '', /Read-only file system|Permission denied/);
    assert.match(found['rootOptions'] ?? '', / \/ 9p ro[, ]/);
    assert.doesNotMatch(found['remount'] ?? '', /remounted/);
  });

  it('sees the files of the host', () => {
    assert.equal(found['hostFile'], execFileSync('head', ['-n', '1', '/etc/passwd'], { encoding: 'utf8' }).trim());
  });

  for (const path of WRITABLE) {
    it(`has an empty tmpfs on ${path}`, () => {
      assert.equal(found[`type ${path}`], 'tmpfs');
      assert.equal(found[`empty ${path}`], '');
    });
  }

  it('can write where everybody may', () => {
    assert.deepEqual(
      ['write /tmp', 'write /dev/shm', 'mode /tmp', 'mode /dev/shm'].map((fact) => found[fact]),
      ['kept', 'kept', '1777', '1777'],
    );
  });

  it('has its loopback interface up, and no other', () => {
    assert.equal(Number(found['loFlags']) & 1, 1);
    assert.equal(found['links']?.trim(), 'lo');
    // Without a route to itself it would be unreachable.
    assert.match(found['lo'] ?? '', /refused/);
  });

  it('has /proc, /sys, /dev/fd, /dev/pts and no terminal', () => {
    assert.equal(found['processes'], '/proc/1/status');
    assert.equal(found['sys'], '/sys/class');
    assert.equal(found['devFd'], '/proc/self/fd\nthrough');
    assert.equal(found['devStdout'], 'through');
    assert.equal(found['null'], 'there');
    assert.equal(found['ptmx'], 'crw-rw-rw-');
    assert.equal(found['tty'], 'not a tty');
  });

  it('has the time of the host and random numbers', () => {
    assert.ok(Math.abs(Number(found['date']) - Date.now() / 1000) < 60, found['date']);
    assert.equal(found['random'], '16');
  });

  it('has no process that nobody waits for', () => assert.equal(found['no orphan'], '0'));

  it('inherits three descriptors and no more', () => assert.match(found['descriptors'] ?? '', /^0 1 2( 3)?\s*$/));
});

/** libvirt's package for QEMU makes a user who is in two groups. */
function unlessUserWithGroups(): string | false {
  try {
    const groups = execFileSync('id', ['-G', 'libvirt-qemu'], { encoding: 'utf8', stdio: 'pipe' }).trim().split(' ');
    return groups.length > 1 ? false : 'the user libvirt-qemu is in one group here';
  } catch {
    return 'there is no user libvirt-qemu';
  }
}

describe('inside, with options', { skip: embedded.skip, concurrency: 2 }, () => {
  it('-p stays root with every capability, and still cannot write to the root', async () => {
    const found = await askInside(embedded, ['-p'], {
      ...CAPABILITIES,
      user: 'id -u; id -g',
      mount: 'mount -t tmpfs none /mnt && echo mounted',
      remount: 'mount -o remount,rw / 2>&1; touch /etc/virt-sandbox-test-was-here && echo written',
      device: 'ls /dev/mem',
    });
    assertCapabilities(found, 'all');
    assert.equal(found.user, '0\n0');
    assert.equal(found.mount, 'mounted');
    assert.doesNotMatch(found.remount, /written/);
  });

  it('-p cannot write to the root even after it was remounted, because the host refuses', async () => {
    const script = 'mount -o remount,rw /; touch /etc/virt-sandbox-test-was-here; echo $?; ls /etc/virt-sandbox-test*';
    const { out } = await runSandbox(['-c', embedded.uri, '-p', '--', 'sh', '-c', script]);
    assert.equal(out, '1\n');
  });

  it('-S runs as that user, with that user’s home, groups and no capability', async () => {
    const found = await askInside(embedded, ['-S', 'nobody'], {
      ...CAPABILITIES,
      ids: 'id',
      names: 'echo $USER $LOGNAME $HOME',
      cwd: 'pwd',
      tmp: 'touch /tmp/mine && stat -c %U /tmp/mine',
      shadow: 'cat /etc/shadow',
    });
    assertCapabilities(found, 'none');
    const [, , uid, gid, , home] = execFileSync('getent', ['passwd', 'nobody'], { encoding: 'utf8' }).trim().split(':');
    assert.match(found.ids, new RegExp(`^uid=${uid}\\(nobody\\) gid=${gid}\\(`));
    assert.equal(found.ids.includes('root'), false);
    assert.equal(found.names, `nobody nobody ${home}`);
    assert.equal(found.cwd, '/');
    assert.equal(found.tmp, 'nobody');
    assert.match(found.shadow, /Permission denied/);
  });

  it('-S has the supplementary groups of that user', { skip: unlessUserWithGroups() }, async () => {
    const found = await askInside(embedded, ['-S', 'libvirt-qemu'], {
      ids: 'id',
      status: 'grep ^Groups /proc/self/status | tr "\\t" " "',
      ...CAPABILITIES,
    });
    const asked = (...args: string[]) => execFileSync('id', [...args, 'libvirt-qemu'], { encoding: 'utf8' }).trim();
    assert.equal(found.ids, asked());
    const numbers = (text: string) => text.split(/\s+/).filter((word) => /^\d+$/.test(word));
    assert.deepEqual(new Set([asked('-g'), ...numbers(found.status)]), new Set(numbers(asked('-G'))));
    assertCapabilities(found, 'none');
  });

  it('-e sets variables, the last of a name wins, and an equals sign is part of a value', async () => {
    const args = ['-e', 'A=1', '-e', 'B=x=y z', '--env', 'A=2', '-e', 'EMPTY=', '-e', 'HOME=/srv'];
    const found = await askInside(embedded, args, { all: 'echo "$A|$B|$EMPTY|$HOME|$(env | grep -c ^EMPTY=)"' });
    assert.equal(found.all, '2|x=y z||/srv|1');
  });

  it('--cwd begins there', async () => {
    assertRun(await runSandbox(['-c', embedded.uri, '--cwd', '/usr/share', '--', 'pwd']), 0, '/usr/share\n');
  });

  it('--memory and --vcpus make the machine', async () => {
    const found = await askInside(embedded, ['--memory', '300', '--vcpus', '2'], {
      processors: 'nproc',
      memory: `sed -n 's/^MemTotal: *//p' /proc/meminfo`,
    });
    assert.equal(found.processors, '2');
    const kib = Number.parseInt(found.memory, 10);
    assert.ok(kib > 180_000 && kib < 300 * 1024, found.memory);
  });

  it('hands on arguments as they are', async () => {
    const words = ['', ' two  words ', 'new\nline', '*', '$HOME', '"', "'", 'ä€😀', '--', '-v'];
    const result = await runSandbox(['-c', embedded.uri, '--', 'printf', '[%s]', ...words]);
    assertRun(result, 0, words.map((word) => `[${word}]`).join(''));
  });
});
