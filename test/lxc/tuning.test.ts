/** Tuning of a running container, seen in its control groups and from inside. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { besideLxc, knowsBlockWeights, lxc } from '../helpers/connections.js';
import { uniqueName } from '../helpers/leftovers.js';
import { assertFailure, runSandbox, startSandbox } from '../helpers/run.js';

const GIB = 1 << 30;

/** Files of control groups; the container's are where libvirt makes them. */
const FILES = ['cpu.shares', 'cpu.cfs_quota_us', 'cpu.cfs_period_us', 'memory.limit_in_bytes'].concat([
  'memory.soft_limit_in_bytes',
  'memory.memsw.limit_in_bytes',
]);

describe('tuning of a container', { skip: lxc.skip }, () => {
  const weights = knowsBlockWeights();

  it('is in its control groups, and in the policy of its memory', async () => {
    const name = uniqueName();
    const args = ['-c', lxc.uri, '-n', name, '--memory', '1500', '--cpu-shares', '300', '--cpu-quota', '10000'];
    args.push(
      '--cpu-period',
      '90000',
      '--memory-limit',
      '1G',
      '--memory-soft-limit',
      '700',
      '--memory-swap-limit',
      '2G',
    );
    args.push('--numa-nodes', '0,mode=interleave');
    const busy = 'while :; do :; done & echo ready; read line; kill $!';
    const script = `head -n 1 /proc/self/numa_maps; ${busy}`;
    const running = startSandbox([...args, '--', 'sh', '-c', script], { ...lxc.options, input: 'open' });
    await running.until(/ready/);
    const find = (file: string) => groupFile(name, file);
    assert.deepEqual(Object.fromEntries(FILES.map((file) => [file, find(file)])), {
      'cpu.shares': '300',
      'cpu.cfs_quota_us': '10000',
      'cpu.cfs_period_us': '90000',
      'memory.limit_in_bytes': `${GIB}`,
      'memory.soft_limit_in_bytes': `${700 << 20}`,
      'memory.memsw.limit_in_bytes': `${2 * GIB}`,
    });
    // It is busy until it has had a ninth of a processor in one period, which a busy host may not give it at once.
    while (Number(/^nr_throttled (\d+)$/m.exec(find('cpu.stat'))?.[1]) === 0) await sleep(50);
    running.child.stdin?.end('\n');
    const { code, out } = await running.result;
    assert.equal(code, 0);
    assert.match(out, /^[0-9a-f]+ interleave:0 /);
  });

  it('has a weight in its control groups', { skip: weights ? false : 'this kernel has no bfq' }, async () => {
    const name = uniqueName();
    const args = ['-c', lxc.uri, '-n', name, '--block-weight', '200', '--', 'sh', '-c', 'echo ready; read line'];
    const running = startSandbox(args, { ...lxc.options, input: 'open' });
    await running.until(/ready/);
    assert.equal(groupFile(name, 'blkio.bfq.weight'), '200');
    running.child.stdin?.end('\n');
    assert.equal((await running.result).code, 0);
  });

  it('is refused a weight where no scheduler knows it', { skip: weights && 'this kernel has bfq' }, async () => {
    const result = await runSandbox(['-c', lxc.uri, '--block-weight', '200', '--', 'true'], lxc.options);
    assertFailure(result, /weight is valid only for/, /modprobe bfq/);
  });

  it('ends what takes more memory than the limit, which is below --memory', async () => {
    // Of a line without an end, tail keeps all.
    const hungry = ['sh', '-c', 'head -c 200M /dev/zero | tail -n 1 >/dev/null; echo $?'];
    const run = (...limit: string[]) =>
      runSandbox(['-c', lxc.uri, '--memory', '1G', ...limit, '--', ...hungry], lxc.options);
    assert.equal((await run('--memory-limit', '100M')).out, '137\n');
    assert.equal((await run()).out, '0\n');
  });

  it('is refused where it is for machines', async () => {
    const result = await runSandbox(['-c', lxc.uri, '--cpu-scheduler', 'batch', '--', 'true'], lxc.options);
    assertFailure(result, /--cpu-scheduler is for the processors of a machine, and lxc:\/\/\/ starts a container/);
  });
});

/** What is in a file of a container's control groups. */
function groupFile(name: string, file: string): string {
  const find = `find /sys/fs/cgroup -path '*lxc*${name}.libvirt-lxc/${file}' | head -n 1`;
  return besideLxc('sh', '-c', `cat $(${find})`).trim();
}
