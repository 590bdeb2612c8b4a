/**
 * A snapshot after one real change: it is passed over, and the change is named. That the sandbox then boots cold is
 * shown once, since the choice is made before it starts.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { SnapshotRecord } from '../../src/image/snapshot/record.js';
import { driverFile } from '../../src/sandbox/snapshot/host.js';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { programPaths, replaced } from '../helpers/hide.js';
import { servingKernel, unlessServingKernel } from '../helpers/kernels.js';
import { assertFailure, assertRun, REPOSITORY, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { type Baked, copySnapshot, privateStore, recordOf, resealSnapshot } from '../helpers/snapshots.js';

interface Where {
  readonly through?: readonly string[];
  readonly uri?: string;
  /** Boots it. Default: asks what a start would do. */
  readonly boots?: boolean;
}

const oneByteMore = (copy: string) => appendFileSync(copy, 'x');

/** Packs a module again with one more byte in it. */
function repack(copy: string): void {
  const packers: Readonly<Record<string, string>> = { '.xz': 'xz --check=crc32', '.zst': 'zstd', '.gz': 'gzip' };
  const packer = packers[extname(copy)];
  // Debian's modules are packed; others' may not be.
  if (packer === undefined) oneByteMore(copy);
  else
    execFileSync('sh', ['-ec', '{ $1 -dc "$2"; printf x; } | $1 -c >"$2.new"; mv "$2.new" "$2"', 'sh', packer, copy]);
}

/** The default profile with one change. */
function profileWith(t: TestContext, more: object): string {
  const path = join(scratchDirectory(t), 'own.json');
  const profile = { format: 1, name: 'own', description: 'The default one, but for one thing.', extends: 'default' };
  writeFileSync(path, JSON.stringify({ ...profile, ...more }));
  return path;
}

const version = servingKernel ?? '';

describe('a snapshot is stale', { skip: unlessServingKernel || embedded.skip }, () => {
  const store = privateStore();
  // The changes are relative to the default profile, whatever profile the tests run under.
  const env = { ...store.env, VIRT_SANDBOX_PROFILE: 'default' };
  let baked: Baked;
  before(async () => {
    baked = await copySnapshot(['-c', embedded.uri], env);
  });
  after(store.remove);

  const start = (args: readonly string[], { through = [], uri = embedded.uri }: Where) =>
    runSandbox(['-c', uri, ...ACCEL, ...args], { env, through });

  /** Expects that it would boot cold for this reason, and with `--boot warm` a failure with the command that bakes. */
  async function assertStale(reason: string, where: Where, args: readonly string[] = []): Promise<void> {
    const why = reason.replace('IMAGE', `the snapshot ${baked.warm}`);
    const asking = where.boots ? [] : ['--dry-run'];
    const { code, out, stderr } = await start([...args, '-v', ...asking, '--', 'echo', 'cold'], where);
    assert.equal(code, 0, stderr);
    if (where.boots) assert.equal(out, 'cold\n');
    assert.ok(stderr.includes(`\nvirt-sandbox: boot: cold, because ${why}\n`), stderr);
    const line = assertFailure(await start([...args, '--boot', 'warm', '--', 'echo', 'warm'], where));
    const [said, bake] = line.split('; bake one with: ');
    assert.equal(said, `image: no snapshot serves this sandbox: ${why}`);
    assert.match(bake ?? line, /^virt-sandbox-bake create --warm --for '[^']*'$/);
    assert.ok(bake?.includes(ACCEL.join(' ')), line);
    for (const word of args) assert.ok(bake?.includes(word), line);
  }

  it('with another QEMU', (t) => {
    const [path = ''] = programPaths('qemu-system-x86_64', 'qemu-kvm');
    return assertStale('IMAGE is stale: QEMU changed', { through: replaced(t, path, oneByteMore) });
  });

  it('with another libvirt', (t) =>
    assertStale('IMAGE is stale: libvirt changed', { through: replaced(t, driverFile() ?? '', oneByteMore) }));

  it('and not with the same QEMU in another file, as on another host', async (t) => {
    const [path = ''] = programPaths('qemu-system-x86_64', 'qemu-kvm');
    const through = replaced(t, path, () => {});
    assertRun(await start(['--boot', 'warm', '--', 'echo', 'warm'], { through }), 0, 'warm\n');
  });

  it('with another processor', (t) => {
    const through = replaced(t, '/proc/cpuinfo', (copy) =>
      writeFileSync(copy, readFileSync('/proc/cpuinfo', 'latin1').replaceAll(/^flags\s*:.*$/gm, '$& another')),
    );
    return assertStale("IMAGE is stale: the host's processor changed", { through });
  });

  it('with another kernel', (t) =>
    assertStale('IMAGE is stale: the kernel changed', {
      through: replaced(t, `/boot/vmlinuz-${version}`, oneByteMore),
    }));

  it('with another module', (t) => {
    const directory = `/lib/modules/${version}/kernel/fs/9p`;
    const path = join(directory, readdirSync(directory).find((name) => name.startsWith('9p.ko')) ?? '');
    return assertStale('IMAGE is stale: a module changed', { through: replaced(t, path, repack), boots: true });
  });

  it('with another init', (t) =>
    assertStale('IMAGE is stale: the init changed', {
      through: replaced(t, `${REPOSITORY}dist/native/init`, oneByteMore),
    }));

  it('with one more kernel argument, or with other firmware', async (t) => {
    const argument = { argument: 'audit=0', why: 'a test', worth: 'none', risk: 'none' };
    const more = profileWith(t, { kernelArguments: [argument] });
    await assertStale('IMAGE is stale: the kernel arguments changed', {}, ['--profile', more]);
    const other = profileWith(t, { machine: { firmware: 'libvirt' } });
    await assertStale('IMAGE is stale: the machine changed', {}, ['--profile', other]);
  });

  it('with one processor more', () =>
    assertStale('no snapshot has just this memory and these processors', {}, ['--vcpus', '2']));

  /** Other recorded facts of the machine, until the test is over. */
  async function reseal(t: TestContext, facts: Partial<SnapshotRecord>): Promise<void> {
    const record = recordOf(baked);
    t.after(() => resealSnapshot(baked.warm, record));
    await resealSnapshot(baked.warm, facts);
  }

  it('under a libvirt daemon of another version', { skip: system.skip }, async (t) => {
    await reseal(t, { host: { ...recordOf(baked).host, 'the libvirt daemon': '1002003' } });
    await assertStale('IMAGE is stale: the libvirt daemon changed', { uri: system.uri });
  });

  it('under another acceleration', async (t) => {
    await reseal(t, { acceleration: 'kvm' });
    await assertStale('IMAGE was baked under kvm', {});
  });

  // Last, to show that only the changes made it stale.
  it('and is restored when nothing has changed', async () => {
    const { code, out, stderr } = await start(['-v', '--', 'echo', 'warm'], {});
    assert.deepEqual({ code, out }, { code: 0, out: 'warm\n' }, stderr);
    assert.ok(stderr.includes(`\nvirt-sandbox: boot: warm, from ${baked.warm}\n`), stderr);
  });
});
