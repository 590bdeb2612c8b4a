/** What containers refuse, which options have no effect on them, and what --dry-run and --print-xml print. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { mounted } from '../helpers/hide.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const SCHEMA = '/usr/share/libvirt/schemas/domain.rng';
const onLxc = ['-c', lxc.uri];

describe('a host that cannot run containers', { skip: lxc.skip, concurrency: 2 }, () => {
  it('an ordinary user', { skip: unlessOrdinaryUser() }, async () => {
    const through = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
    assertFailure(await runSandbox([...onLxc, '--', 'true'], { through }), /only root/, /as root/);
  });

  it('no daemon', async () => {
    const name = uniqueName();
    const through = mounted('mount -t tmpfs none /run/libvirt');
    const result = await runSandbox([...onLxc, '-n', name, '--', 'true'], { through });
    assertFailure(result, /lxc:\/\/\//, /libvirtd/, /libvirt-daemon-driver-lxc/);
    await assertNothingLeft(name);
  });

  it('a daemon without the driver', async () => {
    const through = mounted(`
      for driver in /usr/lib*/*/libvirt/connection-driver /usr/lib*/libvirt/connection-driver; do
        [ -d "$driver" ] && mount -t tmpfs none "$driver"
      done
      mount -t tmpfs none /run/libvirt
      libvirtd --daemon --pid-file /run/libvirt/test.pid 2>/dev/null
      trap 'kill $(cat /run/libvirt/test.pid)' EXIT
      "$@"
      exit`);
    const result = await runSandbox([...onLxc, '--', 'true'], { through });
    assertFailure(result, /lxc:\/\/\//, /libvirt-daemon-driver-lxc/);
  });
});

describe('options and containers', { skip: lxc.skip, concurrency: 2 }, () => {
  it('kernel and processor options have no effect, and -v says so', async () => {
    const machine = [
      '--kernver',
      '9.9.9-none',
      '--kernpath',
      '/no/such',
      '--kmodpath',
      '/no/such',
      '--accel',
      'kvm',
      '--vcpus',
      '3',
    ];
    const result = await runSandbox([...onLxc, '-v', ...machine, '--', 'echo', 'ran'], lxc.options);
    assert.equal(result.out, 'ran\n');
    assert.match(result.stderr, /without effect: --kernver, --kernpath, --kmodpath, --accel, --vcpus, because/);
    assertRun(await runSandbox([...onLxc, ...machine, '--', 'echo', 'ran'], lxc.options), 0, 'ran\n');
  });

  it('a disk limit is refused', async (t) => {
    const disk = join(scratchDirectory(t), 'disk');
    writeFileSync(disk, Buffer.alloc(1 << 20));
    const args = ['--disk', `file:d=${disk}`, '--disk-limit', 'd:total_bytes_sec=1000000', '--', 'true'];
    assertFailure(await runSandbox([...onLxc, ...args], lxc.options), /--disk-limit d/, /virtual machine/);
  });

  it('--dry-run builds nothing and prints the choices', async (t) => {
    const cache = join(scratchDirectory(t), 'cache');
    const options = { ...lxc.options, env: { XDG_CACHE_HOME: cache } };
    const { code, out, stderr } = await runSandbox([...onLxc, '--dry-run', '--json', '--', 'true'], options);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.deepEqual(JSON.parse(out), { uri: 'lxc:///' });
    // Not even the image store is created.
    assert.equal(existsSync(cache), false);
  });

  it('--print-xml prints a domain that fits libvirt’s schema', {
    skip: !existsSync(SCHEMA) && `${SCHEMA} is not installed`,
  }, async (t) => {
    const directory = scratchDirectory(t);
    const file = join(directory, 'domain.xml');
    const args = [
      '-m',
      `host-bind:/mnt=${directory},ro`,
      '-m',
      'ram:/srv=1M',
      '-N',
      'dhcp',
      '--cpu-shares',
      '100',
      '--cpu-pin',
      '0',
    ];
    const { code, out, stderr } = await runSandbox([...onLxc, ...args, '--print-xml', '--', 'true'], lxc.options);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(out, /<domain type="lxc">/);
    writeFileSync(file, out);
    execFileSync('xmllint', ['--noout', '--relaxng', SCHEMA, file], { stdio: ['ignore', 'ignore', 'pipe'] });
  });

  it('debugging shows the init’s steps', async () => {
    const options = { ...lxc.options, env: { LIBVIRT_SANDBOX_INIT_DEBUG: '1' } };
    const { code, stderr } = await runSandbox([...onLxc, '--', 'true'], options);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /init: \[\d+\.\d+\] ready/);
    assert.match(stderr, /root: switchRoot\(\/newroot\)/);
  });
});
