/**
 * Nodes and huge pages for real: a sandbox with two NUMA nodes is the host of others, whose QEMUs take memory from the
 * nodes that they are told. The nested machines would boot for minutes, but their memory and limits are there before they
 * run. Limits of memory are tested here too: libvirtd needs CAP_SYS_RESOURCE for them, and the control groups are
 * those of version 2.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { bakeJson } from '../helpers/bake.js';
import { makeCache, removeCache } from '../helpers/cache.js';
import { embedded } from '../helpers/connections.js';
import { NESTED_HOST_SCRIPT, nestedHostMounts } from '../helpers/nested-host.js';
import { runSandbox } from '../helpers/run.js';

const MIB = 1 << 20;
const IMAGE = 'inside';
const SANDBOX = '/mnt/bin/virt-sandbox --accel tcg --boot cold --memory 128';
const HUGE = '--huge-pages 2M';
const NODES = '--vcpus 2 --numa 0:cpus=0,memory=96 --numa 1:cpus=1,host=0 --numa-nodes 1';
const TUNING = '--memory-limit 600 --memory-soft-limit 500 --cpu-shares 200 --block-weight 300';
const QUOTA = '--cpu-quota 50000 --cpu-period 200000';

/** More huge pages than a machine takes of each node, and too few on node 0 for all of one. */
const SCRIPT = `
for node in /sys/devices/system/node/node*; do
  echo $(basename $node) $(cat $node/cpulist) $(sed -n 's/.*MemTotal: *//p' $node/meminfo)
done
${NESTED_HOST_SCRIPT}
echo 20 >/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages
echo 70 >/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages
echo == missing
${SANDBOX} -c qemu:///embed ${HUGE} --numa-nodes 0 -- true 2>&1
${SANDBOX} -c qemu:///embed --numa-nodes 2 -- true 2>&1

# Without a daemon, so without control groups. With a disk its QEMU is confined. libvirt's driver would make a directory
# in every mount of hugetlbfs.
mkdir -p /dev/hugepages
mount -t hugetlbfs none /dev/hugepages
truncate -s 1M /var/tmp/disk
${SANDBOX} -c qemu:///embed -n own --image ${IMAGE} --disk file:a=/var/tmp/disk ${HUGE} --numa-nodes 1 -- true >/run/own.log 2>&1 &
machine=$!
until pid=$(pgrep -f '^/usr/bin/qemu.*guest=own,') || ! kill -0 $machine; do sleep 0.1; done
until grep -q 'N1=64 kernelpagesize_kB=2048' /proc/$pid/numa_maps || ! kill -0 $machine; do sleep 0.1; done
echo == own
cat /proc/$pid/numa_maps
kill $machine
wait $machine
echo == left
find /dev/hugepages -mindepth 1
umount /dev/hugepages

# Policies as numa(7) names them.
for mode in interleave:0,1 preferred:1; do
  name=\${mode%:*}
  ${SANDBOX} -c qemu:///embed -n $name --image ${IMAGE} --numa-nodes \${mode#*:},mode=$name -- true >/run/$name.log 2>&1 &
  machine=$!
  until pid=$(pgrep -f "^/usr/bin/qemu.*guest=$name,") || ! kill -0 $machine; do sleep 0.1; done
  until grep -qE ' (interleave|prefer)' /proc/$pid/numa_maps || ! kill -0 $machine; do sleep 0.1; done
  echo == $name
  cat /proc/$pid/numa_maps
  kill $machine
  wait $machine
  cat /run/$name.log
done

virtlogd -d
libvirtd 2>/run/libvirtd.log &
while [ ! -S /run/libvirt/libvirt-sock ]; do sleep 0.1; done
${SANDBOX} -c qemu:///system -n inner --image ${IMAGE} --huge-pages default ${NODES} ${TUNING} ${QUOTA} -- true >/run/inner.log 2>&1 &
machine=$!
groups=/sys/fs/cgroup/machine/qemu-1-inner.libvirt-qemu
# libvirt sets what is of each processor last.
until grep -q '^50000 ' $groups/vcpu0/cpu.max 2>/dev/null || ! kill -0 $machine; do sleep 0.1; done
pid=$(cat /run/libvirt/qemu/inner.pid)
echo == maps
cat /proc/$pid/numa_maps
echo == groups
cd $groups
grep . memory.max memory.high cpu.weight io.weight vcpu0/cpu.max vcpu0/cpuset.mems
echo == free
cat /sys/devices/system/node/node*/hugepages/hugepages-2048kB/free_hugepages
kill $machine
wait $machine
cat /run/inner.log
${SANDBOX} -c qemu:///system -n restricted --image ${IMAGE} --numa-nodes 1,mode=restrictive -- true >/run/restricted.log 2>&1 &
machine=$!
group=/sys/fs/cgroup/machine/qemu-2-restricted.libvirt-qemu/vcpu0/cpuset.mems
until grep -q . $group 2>/dev/null || ! kill -0 $machine; do sleep 0.1; done
echo == restricted
cat $group
kill $machine
wait $machine
cat /run/restricted.log
echo == end
`;

describe('on a host with two nodes', { skip: embedded.skip }, () => {
  /** What each part of the script printed, by its heading. */
  let said: ReadonlyMap<string, readonly string[]>;
  const directory = mkdtempSync(join(tmpdir(), 'virt-sandbox-test-'));
  const cache = makeCache();
  after(() => {
    rmSync(directory, { recursive: true, force: true });
    removeCache(cache);
  });

  before(async () => {
    const mounts = nestedHostMounts(cache, join(directory, 'media'));
    await bakeJson(cache, ['create', '--with', 'root-9p,root-virtiofs,block', '--name', IMAGE]);
    const nodes = ['--vcpus', '2', '--memory', '1536', '--numa', '0:cpus=0,memory=1G', '--numa', '1:cpus=1'];
    const args = ['-c', embedded.uri, '-p', ...nodes, ...mounts, '--', 'sh', '-c', SCRIPT];
    const result = await runSandbox(args, { timeout: 600_000 });
    const parts = `== nodes\n${result.out}`.split(/^== /m).map((part) => part.trim().split('\n'));
    said = new Map(parts.map(([heading = '', ...lines]) => [heading, lines]));
    assert.ok(said.has('end'), `${result.out}\n${result.stderr}`);
  });

  it('the machine has the nodes that --numa says', () => {
    const nodes = (said.get('nodes') ?? []).map((line) => line.split(' '));
    assert.deepEqual(
      nodes.map(([name, cpus]) => `${name} ${cpus}`),
      ['node0 0', 'node1 1'],
    );
    const [first = 0, second = 0] = nodes.map(([, , kibibytes]) => Number(kibibytes) / 1024);
    // The kernel keeps some of it to itself.
    assert.ok(first > 900 && first <= 1024, `${first}`);
    assert.ok(second > 400 && second <= 512, `${second}`);
  });

  it('what the nodes do not have is refused', () => {
    const [pages = '', node = ''] = said.get('missing') ?? [];
    assert.match(
      pages,
      /--huge-pages takes 64 pages of 2M, and this host has 20 free on node 0; reserve more, as root/,
    );
    assert.match(pages, /echo 64 > \/sys\/devices\/system\/node\/node0\/hugepages\/hugepages-2048kB\/nr_hugepages$/);
    assert.match(node, /--numa-nodes names node 2, which this host does not have/);
  });

  it('memory comes from the nodes that were named, the machine’s from their huge pages', () => {
    const maps = said.get('maps') ?? [];
    const huge = maps.filter((line) => line.includes(' huge ')).sort();
    assert.equal(huge.length, 2, huge.join('\n'));
    const [first = '', second = ''] = [' bind:0 ', ' bind:1 '].map((policy) =>
      huge.find((line) => line.includes(policy)),
    );
    assert.match(first, / N0=16 kernelpagesize_kB=2048$/);
    assert.match(second, / N1=48 kernelpagesize_kB=2048$/);
    assert.deepEqual(said.get('free'), ['4', '22']);
  });

  it('QEMU’s own memory comes from the node that was named', () => {
    const maps = said.get('own') ?? [];
    // The host may have the pages of files on any node.
    const own = maps.filter((line) => line.includes(' anon=') && !line.includes(' file='));
    assert.ok(own.length > 10, maps.join('\n'));
    for (const line of own) assert.match(line, /^[0-9a-f]+ bind:1 [^N]* N1=\d+ /);
    assert.equal(maps.filter((line) => / bind:1 .* huge .* N1=64 kernelpagesize_kB=2048$/.test(line)).length, 1);
  });

  for (const [mode, policy] of [
    ['interleave', / interleave:0-1 /],
    ['preferred', / prefer(?: \(many\))?:1 /],
  ] as const)
    it(`the machine’s memory has the policy ${mode}`, () => {
      const maps = said.get(mode) ?? [];
      assert.ok(
        maps.some((line) => policy.test(line)),
        maps.join('\n'),
      );
    });

  it('restrictive is a set of nodes that the control group has', () => {
    assert.equal(said.get('restricted')?.[0], '1');
  });

  it('nothing stays in a mount of hugetlbfs', () => assert.deepEqual(said.get('left'), []));

  it('limits are set in control groups of version 2', () => {
    assert.deepEqual(said.get('groups'), [
      `memory.max:${600 * MIB}`,
      `memory.high:${500 * MIB}`,
      'cpu.weight:200',
      'io.weight:default 300',
      'vcpu0/cpu.max:50000 200000',
      'vcpu0/cpuset.mems:0-1',
    ]);
  });
});
