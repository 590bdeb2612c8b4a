/** Machines with the common init in the guest: it does the launcher's work, and the application sees no difference. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Channel } from '../../src/protocol/channel.js';
import { bakeJson, runBake } from '../helpers/bake.js';
import { makeCache, removeCache } from '../helpers/cache.js';
import { embedded } from '../helpers/connections.js';
import { fakeNode } from '../helpers/fake-node.js';
import { type GuestInit, guestInit } from '../helpers/guest-init.js';
import { unlessProgram } from '../helpers/images.js';
import { unlessServingKernel } from '../helpers/kernels.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { writeBusyboxImage } from '../helpers/oci/busybox-image.js';
import {
  assertFailure,
  assertFailureWith,
  assertRun,
  type RunOptions,
  runSandbox,
  startSandbox,
} from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const cache = makeCache();
after(() => removeCache(cache));

const INCLUDE = ['-m', 'ram:/mnt=1M', '-i', '/mnt/below/passwd=/etc/passwd'];

/** Node starts slowly in an emulated machine beside others. */
const SLOW = ['--boot-timeout', '120'];

describe('the common init in the guest', { skip: unlessServingKernel || embedded.skip }, () => {
  let inside: GuestInit;
  before(async () => {
    inside = await guestInit();
  });
  after(() => inside.remove());
  const options = (more: RunOptions = {}): RunOptions => ({
    ...more,
    env: { ...inside.env, ...more.env },
    timeout: 240_000,
  });
  const run = (args: readonly string[], command: readonly string[], more: RunOptions = {}) =>
    runSandbox(['-c', embedded.uri, ...inside.args, ...args, '--', ...command], options(more));

  it('has the files that name the host of an OCI image', {
    skip: unlessProgram('busybox', 'mkfs.erofs'),
  }, async (t) => {
    const name = uniqueName();
    const image = writeBusyboxImage(scratchDirectory(t), uniqueName());
    const result = await run(['-n', name, '--boot', 'cold', '--root', image], ['cat', '/etc/hostname']);
    assertRun(result, 0, `${name}\n`);
    await assertNothingLeft(name, embedded.where);
  });

  it('keeps streams, identity, environment, directory, includes and exit status the same', async () => {
    const name = uniqueName();
    const asking = 'cat; id -u; echo $GREETING; pwd; uname -n; cat /mnt/below/passwd';
    const script = `${asking}; touch /etc/changed; echo err >&2; exit 7`;
    const args = ['-n', name, '-S', 'nobody', '-e', 'GREETING=hi', '--cwd', '/usr', ...INCLUDE];
    // Cold: its Node.js starts, and its modules are loaded, in the guest.
    const result = await run([...args, '--boot', 'cold'], ['sh', '-c', script], { input: 'stdin\n' });
    assertRun(
      result,
      7,
      `stdin\n65534\nhi\n/usr\n${name}\n${readFileSync('/etc/passwd', 'utf8')}`,
      "touch: cannot touch '/etc/changed': Read-only file system\nerr\n",
    );
    await assertNothingLeft(name);
  });

  it('carries a megabyte both ways unchanged', async () => {
    const input = Buffer.alloc(1_000_000, 'abcdefg\n');
    const result = await run([], ['cat'], { input });
    assert.equal(result.stderr, '');
    assert.ok(result.stdout.equals(input));
  });

  it('reports a command that cannot be started', async () => {
    assertFailureWith(127, await run([], ['/no/such']), /application: \/no\/such: not found inside the sandbox/);
    assertFailure(await run(['--root', cache], ['true']), /^virt-sandbox: init: step root failed: mount/);
  });

  it('reports what becomes of includes', async () => {
    assertFailureWith(127, await run(INCLUDE, ['/no/such']), /application: \/no\/such: not found inside the sandbox/);
    const full = ['-m', 'ram:/mnt=64K', '-i', `/mnt/node=${process.execPath}`];
    assertFailure(await run(full, ['true']), /could not be copied to \/mnt\/node: .*No space left/);
  });

  it('traces the application', { skip: unlessProgram('strace') }, async () => {
    const traced = (command: readonly string[]) => run([], command, { env: { LIBVIRT_SANDBOX_STRACE: 'execve' } });
    const { code, out, stderr } = await traced(['sh', '-c', 'echo out; exit 4']);
    assert.deepEqual([code, out], [4, 'out\n'], stderr);
    assert.match(stderr, /^execve\("[^"]*sh", \["sh", "-c", "echo out; exit 4"\]/m);
    assertFailureWith(127, await traced(['/no/such']), /application: \/no\/such: not found inside the sandbox/);
  });

  it('refuses what only a launcher can do', async () => {
    const stopped = await run([], ['true'], { env: { LIBVIRT_SANDBOX_INIT_DEBUG: 'break:spawn' } });
    assertFailure(stopped, /the common init in the guest cannot stop before a step/);
  });

  it('sets up interfaces and name servers', async () => {
    const script = 'busybox ip -4 addr show dev eth0 | grep -o "inet [^ ]*"; cat /etc/resolv.conf';
    const dhcp = ['-N', 'dhcp'];
    assertRun(await run(dhcp, ['sh', '-c', script]), 0, 'inet 10.0.2.15/24\nnameserver 10.0.2.3\n');
    const wrong = ['-N', 'address=10.0.2.77,route=0.0.0.0/0%192.0.2.1'];
    assertFailure(await run([...dhcp, ...wrong], ['true']), /step interfaces failed: route\(eth1, 0\.0\.0\.0\/0/);
  });

  it('hands signals to the application', async () => {
    const running = startSandbox(
      [
        ...['-c', embedded.uri, ...inside.args, '--', 'sh', '-c'],
        'trap "echo caught; exit 3" USR1; echo up; while :; do sleep 1; done',
      ],
      options(),
    );
    await running.until(/up/);
    process.kill(running.pid, 'SIGUSR1');
    // The shell also prints its own message about the child on stderr.
    const { code, out } = await running.result;
    assert.deepEqual({ code, out }, { code: 3, out: 'up\ncaught\n' });
  });

  it('runs on after its launcher has gone, and ends by itself', async () => {
    const share = join(cache, 'share');
    mkdirSync(share);
    const path = join(cache, 'port');
    const server = createServer({ allowHalfOpen: false });
    const connected = once(server, 'connection') as Promise<[Socket]>;
    await new Promise<void>((resolve) => {
      server.listen(path, resolve);
    });
    // It ends with this process, however that ends.
    const qemu = ['--pdeathsig', 'KILL', '--', 'qemu-system-x86_64', ...machineArguments(inside.image, path, share)];
    const machine = spawn('setpriv', qemu, { stdio: 'ignore' });
    const ended = once(machine, 'exit');
    try {
      const [socket] = await connected;
      const { channel } = await Channel.open(socket);
      const command = [
        'sh',
        '-c',
        'echo up; read gone; echo $? > /mnt/end; yes | head -c 1000000; echo more > /mnt/last',
      ];
      const guest = {
        platform: 'machine',
        hostname: 'alone',
        root: { type: '9p', tag: 'root', readOnly: true },
        mounts: [{ type: '9p', tag: 'share', target: '/mnt', readOnly: false }],
        disks: [],
        identity: { uid: 0, gid: 0, groups: [], username: 'root', home: '/' },
        privileged: true,
        environment: [],
        command,
      };
      const now = { seconds: String(Math.floor(Date.now() / 1000)), nanoseconds: 0 };
      await channel.call({ op: 'configure', sandbox: JSON.stringify({ guest, now, entropy: 'AAAA' }) });
      const { stdin, stdout } = channel.application;
      const [up] = (await once(stdout, 'data')) as [Buffer];
      assert.equal(up.toString(), 'up\n');
      // The port reports its end of file before the connection ends.
      stdin.end();
      await once(stdin, 'finish');
      assert.ok(!existsSync(join(share, 'last')));
      socket.end();
      await ended;
      assert.equal(readFileSync(join(share, 'end'), 'utf8'), '1\n');
      assert.equal(readFileSync(join(share, 'last'), 'utf8'), 'more\n');
    } finally {
      server.close();
      machine.kill('SIGKILL');
      await ended;
    }
  });

  it('ends the machine at once when Node.js ends, with its last output', async () => {
    const node = fakeNode(cache, 'v20.19.0');
    await bakeJson(cache, ['create', '--name', 'true', '--common-init', 'guest', '--node', node]);
    const result = await runSandbox(['-c', embedded.uri, '--image', 'true', ...SLOW, '--', 'true'], {
      ...options(),
      env: { XDG_CACHE_HOME: cache },
    });
    assertFailure(result, /boot: the guest ended before the application was started/);
    assert.match(result.stderr, /guest: init: the common init has ended before it began/);
  });

  it('refuses a Node.js that cannot be put into an image', async () => {
    const { code, stderr } = await runBake(cache, ['create', '--common-init', 'guest', '--node', '/bin/busybox']);
    assert.equal(code, 125);
    assert.match(
      stderr,
      /^virt-sandbox-bake: image: \/bin\/busybox is not a dynamically linked program; name a Node\.js/,
    );
    const other = await runBake(cache, ['create', '--common-init', 'guest', '--node', '/bin/true']);
    assert.match(other.stderr, /image: \/bin\/true is no Node\.js/);
    const text = await runBake(cache, ['create', '--common-init', 'guest', '--node', '/etc/passwd']);
    assert.match(text.stderr, /\/etc\/passwd is no program that can be put into an image/);
    assert.match(
      (await runBake(cache, ['create', '--node', '/bin/true'])).stderr,
      /--node goes with --common-init guest/,
    );
  });
});

/** A machine that runs without a launcher. */
function machineArguments(image: string, port: string, share: string): string[] {
  const kernelArguments = 'console=ttyS0 quiet panic=-1 mitigations=off';
  return [
    ...[
      '-machine',
      'q35,accel=tcg',
      '-cpu',
      'max',
      '-m',
      '768',
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
      '-no-reboot',
    ],
    ...['-kernel', join(image, 'vmlinux'), '-initrd', join(image, 'initrd'), '-append', kernelArguments],
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=channel,path=${port}`],
    ...['-device', 'virtserialport,chardev=channel,name=org.virt-sandbox.channel.0'],
    ...[
      '-fsdev',
      'local,id=root,path=/,security_model=none,readonly=on',
      '-device',
      'virtio-9p-pci,fsdev=root,mount_tag=root',
    ],
    ...[
      '-fsdev',
      `local,id=share,path=${share},security_model=none`,
      '-device',
      'virtio-9p-pci,fsdev=share,mount_tag=share',
    ],
  ];
}
