/** The application's surroundings. One boot reports many facts, one a line. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { before, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { EVERYWHERE, itIsAsEverywhere } from '../helpers/everywhere.js';
import { askInside, assertCapabilities, CAPABILITIES } from '../helpers/inside.js';
import { uniqueName } from '../helpers/leftovers.js';
import { assertRun, runSandbox } from '../helpers/run.js';

describe('inside, as root', { skip: embedded.skip }, () => {
  const name = uniqueName();
  const facts = {
    ...EVERYWHERE,
    kernelArguments: 'cat /proc/cmdline',
    rootOptions: `grep ' / ' /proc/mounts | tail -n 1`,
    remount: 'mount -o remount,rw / && echo remounted',
    devFd: 'readlink /dev/fd; echo through | cat /dev/fd/0',
    processes: 'ls /proc/1/status',
    sys: 'ls -d /sys/class',
    ptmx: 'ls -l /dev/pts/ptmx | cut -c1-10',
    null: 'echo gone > /dev/null; echo there',
    'no orphan': 'sh -c "sleep 0.1 & "; sleep 1; ps -o stat= 2>/dev/null | grep -c Z; true',
    home: 'ls -A ~; echo kept >~/x; cat ~/x; stat -c "%a %u" ~',
    random: 'head -c 16 /dev/urandom | wc -c',
  } as const;
  let found: Record<string, string> = {};
  before(async () => {
    found = await askInside(embedded, ['-n', name], facts);
  });

  itIsAsEverywhere(name, () => found);

  it('has no text of the user on the kernel command line', () => {
    assert.doesNotMatch(found['kernelArguments'] ?? '', /printf|sh -c|PATH|HOME/);
  });

  it('cannot make the root writable', () => {
    assert.match(found['rootOptions'] ?? '', / \/ virtiofs ro[, ]/);
    assert.doesNotMatch(found['remount'] ?? '', /remounted/);
  });

  it('has /proc, /sys, /dev/fd, /dev/null, /dev/pts and random numbers', () => {
    assert.equal(found['processes'], '/proc/1/status');
    assert.equal(found['sys'], '/sys/class');
    assert.equal(found['devFd'], '/proc/self/fd\nthrough');
    assert.equal(found['null'], 'there');
    assert.equal(found['ptmx'], 'crw-rw-rw-');
    assert.equal(found['random'], '16');
  });

  it('has a home of its own, since the user that QEMU runs as cannot enter that of root', (t) => {
    if ((statSync(homedir()).mode & 0o001) !== 0) return t.skip('everybody may enter the home here');
    assert.equal(found['home'], 'kept\n700 0');
  });

  it('has no unreaped orphan', () => assert.equal(found['no orphan'], '0'));
});

/** libvirt's package for QEMU creates a user with two groups. */
function unlessUserWithGroups(): string | false {
  try {
    const groups = execFileSync('id', ['-G', 'libvirt-qemu'], { encoding: 'utf8', stdio: 'pipe' }).trim().split(' ');
    return groups.length > 1 ? false : 'the user libvirt-qemu is in one group here';
  } catch {
    return 'there is no user libvirt-qemu';
  }
}

describe('inside, with options', { skip: embedded.skip, concurrency: 2 }, () => {
  it('-p runs as root with every capability, and still cannot write to the root', async () => {
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

  it('-p cannot write to the root even after a remount, because the host refuses', async () => {
    const script = 'mount -o remount,rw /; touch /etc/virt-sandbox-test-was-here; echo $?; ls /etc/virt-sandbox-test*';
    const { out } = await runSandbox(['-c', embedded.uri, '-p', '--', 'sh', '-c', script]);
    assert.equal(out, '1\n');
  });

  it('-S runs as that user, with that user’s home and groups and no capability', async () => {
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

  it('-S sets the supplementary groups of that user', { skip: unlessUserWithGroups() }, async () => {
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

  it('-e sets variables; the last of a name wins, and a value may contain an equals sign', async () => {
    const args = ['-e', 'A=1', '-e', 'B=x=y z', '--env', 'A=2', '-e', 'EMPTY=', '-e', 'HOME=/srv'];
    const found = await askInside(embedded, args, { all: 'echo "$A|$B|$EMPTY|$HOME|$(env | grep -c ^EMPTY=)"' });
    assert.equal(found.all, '2|x=y z||/srv|1');
  });

  it('--cwd sets the working directory', async () => {
    assertRun(await runSandbox(['-c', embedded.uri, '--cwd', '/usr/share', '--', 'pwd']), 0, '/usr/share\n');
  });

  it('--memory and --vcpus size the machine', async () => {
    const found = await askInside(embedded, ['--accel', 'tcg', '--memory', '300', '--vcpus', '3'], {
      processors: 'nproc',
      online: 'cat /sys/devices/system/cpu/online',
      late: 'grep -c maxcpus=1 /proc/cmdline',
      memory: `sed -n 's/^MemTotal: *//p' /proc/meminfo`,
    });
    assert.equal(found.processors, '3');
    assert.equal(found.online, '0-2');
    assert.equal(found.late, '1', 'the others came when the devices were there: src/domain/processors.ts');
    const kib = Number.parseInt(found.memory, 10);
    assert.ok(kib > 180_000 && kib < 300 * 1024, found.memory);
  });

  it('passes arguments unchanged', async () => {
    const words = ['', ' two  words ', 'new\nline', '*', '$HOME', '"', "'", 'ä€😀', '--', '-v'];
    const result = await runSandbox(['-c', embedded.uri, '--', 'printf', '[%s]', ...words]);
    assertRun(result, 0, words.map((word) => `[${word}]`).join(''));
  });
});
