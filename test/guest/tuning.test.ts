/** Limits of a running sandbox, checked from outside, or from inside where they show there. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { mostRealTimePriority } from '../../src/sandbox/devices/capabilities.js';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, knowsBlockWeights } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
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

describe('a disk that is slow', { skip: embedded.skip || unlessProgram('mke2fs', 'debugfs') }, () => {
  it('has all that was written when the sandbox ends', async (t) => {
    const directory = scratchDirectory(t);
    const [image, written] = ['image', 'written'].map((name) => join(directory, name)) as [string, string];
    writeFileSync(image, '');
    truncateSync(image, 64 * MIB);
    execFileSync('mke2fs', ['-q', '-t', 'ext4', image], { stdio: 'ignore' });
    // Half a minute for what is in memory at the end.
    const script = 'mount /dev/disk/by-tag/a /mnt && head -c 30M /dev/urandom > /mnt/x && sha256sum < /mnt/x';
    const limited = ['--disk', `file:a=${image}`, '--disk-limit', `a:write_bytes_sec=${MIB}`];
    const result = await runSandbox(['-c', embedded.uri, ...ACCEL, '-p', ...limited, '--', 'sh', '-c', script]);
    assert.equal(result.code, 0, result.stderr);
    // As the next mount would find it: with what is in the journal.
    spawnSync('e2fsck', ['-p', image], { stdio: 'ignore' });
    execFileSync('debugfs', ['-R', `dump x ${written}`, image], { stdio: 'ignore' });
    const sum = createHash('sha256').update(readFileSync(written)).digest('hex');
    assert.equal(result.out.split(' ')[0], sum);
  });
});

/** The policies and priorities of the threads of a process, by thread name. */
function schedulersOf(pid: number | undefined): Map<string, string> {
  const tasks = `/proc/${pid}/task`;
  const threads = readdirSync(tasks).map((thread): [string, string] => {
    const name = readFileSync(join(tasks, thread, 'comm'), 'utf8').trim();
    // proc_pid_stat(5): 40 is the real-time priority, 41 the policy. The name in parentheses is 2.
    const fields =
      readFileSync(join(tasks, thread, 'stat'), 'utf8')
        .split(') ')[1]
        ?.split(' ') ?? [];
    return [name, `${fields[41 - 3]} ${fields[40 - 3]}`];
  });
  return new Map(threads);
}

/** In sched(7). */
const POLICY = { other: 0, rr: 2, batch: 3 } as const;

describe('--cpu-scheduler', { skip: embedded.skip }, () => {
  for (const [scheduler, expected] of [
    ['rr:2', `${POLICY.rr} 2`],
    ['batch', `${POLICY.batch} 0`],
  ] as const) {
    it(`${scheduler} is that of the processors, and of no other thread`, async (t) => {
      if (scheduler.startsWith('rr') && mostRealTimePriority() < 2)
        return t.skip('root may use no real-time priority here');
      const name = uniqueName();
      const args = ['-c', embedded.uri, '-n', name, '--vcpus', '2', '--cpu-scheduler', scheduler, ...WAIT];
      const running = startSandbox(args, { input: 'open' });
      await running.until(/ready/);
      const found = schedulersOf(qemuOf(name));
      for (const [thread, schedule] of found) {
        assert.equal(schedule, /^CPU \d/.test(thread) ? expected : `${POLICY.other} 0`, thread);
      }
      assert.equal([...found.keys()].filter((thread) => /^CPU \d/.test(thread)).length, 2);
      running.child.stdin?.end('\n');
      assert.equal((await running.result).code, 0);
    });
  }

  it('with a priority is refused without the capability for it', async () => {
    const through = ['setpriv', '--bounding-set=-sys_nice', '--'];
    const result = await runSandbox(['-c', embedded.uri, '--cpu-scheduler', 'fifo:1', '--', 'true'], { through });
    assertFailure(result, /--cpu-scheduler fifo:1 takes CAP_SYS_NICE/, /use batch or idle/);
  });
});

describe('--io-threads', { skip: embedded.skip }, () => {
  it('serve the disks in turn', async (t) => {
    const name = uniqueName();
    const directory = scratchDirectory(t);
    const disks = ['a', 'b', 'c'].flatMap((tag) => {
      const file = join(directory, tag);
      writeFileSync(file, Buffer.alloc(MIB));
      return ['--disk', `file:${tag}=${file}`];
    });
    const read = (tag: string) => `dd if=/dev/disk/by-tag/${tag} of=/dev/null bs=4k iflag=direct 2>/dev/null`;
    // b is the second thread's. c is the first one's again.
    const script = `echo ready; read line; ${read('b')}; echo b; read line; ${read('c')}; echo c; read line`;
    const running = startSandbox(
      ['-c', embedded.uri, '-n', name, '-p', ...disks, '--io-threads', '2', '--', 'sh', '-c', script],
      { input: 'open' },
    );
    const pid = () => qemuOf(name);
    await running.until(/ready/);
    const before = timesOf(pid());
    running.child.stdin?.write('\n');
    await running.until(/b/);
    const between = timesOf(pid());
    running.child.stdin?.write('\n');
    await running.until(/c/);
    const end = timesOf(pid());
    assert.deepEqual([...end.keys()], ['IO iothread1', 'IO iothread2']);
    const [[first1, second1], [first2, second2]] = [growth(before, between), growth(between, end)];
    // The other one has nothing to do.
    assert.ok(second1 > 10 * first1, `${first1} ${second1}`);
    assert.ok(first2 > 10 * second2, `${first2} ${second2}`);
    running.child.stdin?.end('\n');
    assert.equal((await running.result).code, 0);
  });
});

type Times = ReadonlyMap<string, number>;

/** How long each I/O thread of QEMU has run, in nanoseconds, by name. */
function timesOf(pid: number | undefined): Times {
  const tasks = `/proc/${pid}/task`;
  const threads = readdirSync(tasks).map((thread): [string, number] => {
    const [time] = readFileSync(join(tasks, thread, 'schedstat'), 'utf8').split(' ');
    return [readFileSync(join(tasks, thread, 'comm'), 'utf8').trim(), Number(time)];
  });
  return new Map(threads.filter(([name]) => name.startsWith('IO iothread')).sort());
}

/** By how much the times of the first and the second thread have grown. */
function growth(one: Times, other: Times): [number, number] {
  const of = (name: string) => (other.get(name) ?? Number.NaN) - (one.get(name) ?? Number.NaN);
  return [of('IO iothread1'), of('IO iothread2')];
}

describe('with control groups', { skip: unlessPrivateLibvirt() }, () => {
  const weights = knowsBlockWeights();
  let libvirt: PrivateLibvirt;
  before(async () => {
    libvirt = await PrivateLibvirt.start();
  });
  after(() => libvirt?.end());

  it('shares, quotas and limits are set in those of the machine', async () => {
    const name = uniqueName();
    const args = ['-c', libvirt.uri, '-n', name, '--cpu-shares', '300', '--cpu-pin', '0', '--cpu-quota', '10000'];
    args.push('--cpu-period', '90000', '--memory-soft-limit', '700M');
    const running = startSandbox([...args, ...WAIT], { through: libvirt.through, input: 'open' });
    await running.until(/ready/);
    assert.match(await libvirt.virsh('dumpxml', name), /<vcpupin vcpu='0' cpuset='0'\/>/);
    const files = ['cpu.shares', 'vcpu0/cpu.cfs_quota_us', 'vcpu0/cpu.cfs_period_us', 'memory.soft_limit_in_bytes'];
    const [found, stat] = [await groupFiles(name, files), await groupFiles(name, ['vcpu0/cpu.stat'])];
    assert.deepEqual(found, ['300', '10000', '90000', `${700 * MIB}`]);
    // To be ready takes more than a ninth of a processor does in one period.
    assert.match(stat[0] ?? '', /\bnr_throttled [1-9]/);
    running.child.stdin?.end('\n');
    assert.equal((await running.result).code, 0);
  });

  it('a weight is set in those of the machine', { skip: weights ? false : 'this kernel has no bfq' }, async () => {
    const name = uniqueName();
    const args = ['-c', libvirt.uri, '-n', name, '--block-weight', '300', ...WAIT];
    const running = startSandbox(args, { through: libvirt.through, input: 'open' });
    await running.until(/ready/);
    assert.deepEqual(await groupFiles(name, ['blkio.bfq.weight']), ['300']);
    running.child.stdin?.end('\n');
    assert.equal((await running.result).code, 0);
  });

  it('a weight is refused where no scheduler knows it', { skip: weights && 'this kernel has bfq' }, async () => {
    const args = ['-c', libvirt.uri, '--block-weight', '300', '--', 'true'];
    assertFailure(await runSandbox(args, { through: libvirt.through }), /weight is valid only for/, /modprobe bfq/);
  });

  /** What is in files of the machine's control groups. */
  async function groupFiles(name: string, files: readonly string[]): Promise<readonly string[]> {
    const find = files.map((file) => `cat /sys/fs/cgroup/*/machine/qemu-*${name}*/${file} | tr '\\n' ' '; echo`);
    const found = await libvirt.run('sh', '-c', find.join('; '));
    return found
      .trimEnd()
      .split('\n')
      .map((line) => line.trim());
  }

  it('a machine that reaches its limit of memory is killed, and the error says where to look', async () => {
    const name = uniqueName();
    const script = 'echo ready; read line; head -c 400M /dev/zero >/dev/shm/zeros';
    const args = ['-c', libvirt.uri, '-n', name, '--memory', '1G', '--', 'sh', '-c', script];
    const running = startSandbox(args, { through: libvirt.through, input: 'open' });
    await running.until(/ready/);
    // As --memory-limit has libvirtd do, for which it needs CAP_SYS_RESOURCE: tuning-nodes.test.ts.
    const file = `/sys/fs/cgroup/memory/machine/qemu-*${name}*/memory.limit_in_bytes`;
    await libvirt.run('sh', '-c', `echo 300M >$(echo ${file})`);
    running.child.stdin?.end('\n');
    const { code, stderr } = await running.result;
    assert.equal(code, 125);
    assert.match(stderr, /ended while the application ran.*; see if the host killed it .* raise --memory-limit; else/);
  });
});

it('what takes control groups is refused without', { skip: embedded.skip }, async () => {
  for (const [option, value] of [
    ['--cpu-shares', '300'],
    ['--memory-limit', '1G'],
  ] as const) {
    const result = await runSandbox(['-c', embedded.uri, option, value, '--', 'true']);
    assertFailure(result, new RegExp(`${option} takes control groups, and qemu:///embed makes none`));
  }
});
