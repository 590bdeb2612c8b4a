/** Limits of a running sandbox, checked from outside, or from inside where they show there. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { qemuOf, uniqueName } from '../helpers/leftovers.js';
import { PrivateLibvirt, unlessPrivateLibvirt } from '../helpers/private-libvirt.js';
import { assertFailure, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const WAIT = ['--', 'sh', '-c', 'echo ready; read line'];
const MIB = 1024 * 1024;

describe('--cpu-pin', { skip: embedded.skip }, () => {
  const skip = availableParallelism() > 1 ? false : 'there is one processor, on which everything runs anyway';
  it('keeps every thread of the machine on those processors', { skip }, async () => {
    const name = uniqueName();
    const running = startSandbox(['-c', embedded.uri, '-n', name, '--cpu-pin', '1', ...WAIT], { input: 'open' });
    await running.until(/ready/);
    const tasks = `/proc/${qemuOf(name)}/task`;
    const threads = readdirSync(tasks).map((thread) => readFileSync(join(tasks, thread, 'status'), 'utf8'));
    const allowed = threads.map((status) => /^Cpus_allowed_list:\t(.*)$/m.exec(status)?.[1]);
    assert.ok(allowed.length > 2);
    assert.deepEqual(new Set(allowed), new Set(['1']));
    running.child.stdin?.end('\n');
    assert.equal((await running.result).code, 0);
  });

  it('refuses a processor that does not exist', async () => {
    const result = await runSandbox(['-c', embedded.uri, '--cpu-pin', '0,8000', '--', 'true']);
    assertFailure(result, /--cpu-pin names CPU 8000, which this host does not have/);
  });
});

describe('--disk-limit', { skip: embedded.skip }, () => {
  it('slows down that disk, and no other', async (t) => {
    const directory = scratchDirectory(t);
    const disks = ['slow', 'free'].flatMap((tag) => {
      const file = join(directory, tag);
      writeFileSync(file, '');
      truncateSync(file, 8 * MIB);
      return ['--disk', `file:${tag}=${file}`];
    });
    const timed = (name: string, words: string) =>
      `start=$(cut -d" " -f1 /proc/uptime); dd ${words} bs=64k count=64 2>/dev/null; echo ${name} $start $(cut -d" " -f1 /proc/uptime)`;
    const script = ['slow', 'free'].flatMap((tag) => [
      timed(`${tag} read`, `if=/dev/disk/by-tag/${tag} of=/dev/null iflag=direct`),
      timed(`${tag} write`, `if=/dev/zero of=/dev/disk/by-tag/${tag} oflag=direct conv=notrunc`),
    ]);
    const result = await runSandbox(
      ['-c', embedded.uri, '-p', ...disks, '--disk-limit', `slow:read_bytes_sec=${MIB},write_bytes_sec=${MIB}`].concat(
        '--',
        'sh',
        '-c',
        script.join('; '),
      ),
    );
    assert.equal(result.code, 0, result.stderr);
    const took = (name: string) => {
      const [, start, end] = new RegExp(`^${name} (\\S+) (\\S+)$`, 'm').exec(result.out) ?? [];
      return Number(end) - Number(start);
    };
    for (const way of ['read', 'write']) {
      // 4 MiB at 1 MiB/s take at least three seconds; a tenth of a second's worth is free.
      assert.ok(took(`slow ${way}`) > 3, result.out);
      assert.ok(took(`free ${way}`) < took(`slow ${way}`), result.out);
    }
  });
});

describe('--cpu-shares', () => {
  describe('with control groups', { skip: unlessPrivateLibvirt() }, () => {
    let libvirt: PrivateLibvirt;
    before(async () => {
      libvirt = await PrivateLibvirt.start();
    });
    after(() => libvirt?.end());

    it('are set in the control group of the machine', async () => {
      const name = uniqueName();
      const args = ['-c', libvirt.uri, '-n', name, '--cpu-shares', '300', '--cpu-pin', '0', ...WAIT];
      const running = startSandbox(args, { through: libvirt.through, input: 'open' });
      await running.until(/ready/);
      const xml = await libvirt.virsh('dumpxml', name);
      assert.match(xml, /<shares>300<\/shares>/);
      assert.match(xml, /<vcpupin vcpu='0' cpuset='0'\/>/);
      const find = `find /sys/fs/cgroup/cpu -path '*qemu*${name}*' -name cpu.shares -exec cat {} + | sort -n | head -n 1`;
      assert.equal(await libvirt.run('sh', '-c', find), '300\n');
      running.child.stdin?.end('\n');
      assert.equal((await running.result).code, 0);
    });
  });

  it('is refused without control groups', { skip: embedded.skip }, async () => {
    const result = await runSandbox(['-c', embedded.uri, '--cpu-shares', '300', '--', 'true']);
    assertFailure(result, /--cpu-shares takes control groups, and qemu:\/\/\/embed makes none/);
  });
});
