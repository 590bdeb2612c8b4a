/**
 * AppArmor for real: boots a sandbox whose kernel has AppArmor and runs libvirtd in it, which starts containers and a
 * machine under profiles.
 * The nested machine would boot for minutes, but it is confined before it runs. Network limits and network block
 * devices are tested here too, because this kernel always supports them, whatever the host's kernel has.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { QEMU_IDS } from '../../src/util/qemu-ids.js';
import { PROFILE, RECEIVED, SCRIPT, SENT, UUID } from '../helpers/app-armor-script.js';
import { IMAGE } from '../helpers/app-armor-services.js';
import { bakeJson } from '../helpers/bake.js';
import { makeCache, removeCache } from '../helpers/cache.js';
import { embedded } from '../helpers/connections.js';
import { programPaths } from '../helpers/hide.js';
import { ext4Of, imageFile, unlessProgram } from '../helpers/images.js';
import { nestedHostMounts } from '../helpers/nested-host.js';
import { unlessBusybox } from '../helpers/roots.js';
import { runSandbox } from '../helpers/run.js';
import { DEBIAN_KERNEL, unlessInstalled } from '../helpers/scratch.js';

/** The name of the program in `/PATH/NAME CapEff: MASK`. */
function programOf(line: string): string {
  return line.split(' ')[0]?.split('/').at(-1) ?? '';
}

function unlessAppArmor(): string | false {
  return existsSync('/sbin/apparmor_parser') ? false : 'there is no apparmor_parser';
}

function unlessContainers(): string | false {
  return existsSync('/usr/lib/libvirt/libvirt_lxc') ? false : 'libvirt has no driver for containers here';
}

const skip =
  embedded.skip ||
  unlessProgram('mkfs.ext4', 'qemu-nbd') ||
  unlessBusybox ||
  unlessInstalled(DEBIAN_KERNEL) ||
  unlessAppArmor() ||
  unlessContainers();

describe('on a kernel with AppArmor', { skip }, () => {
  /** What each part of the script printed, by its heading. */
  let said: ReadonlyMap<string, readonly string[]>;
  let image: string;

  const directory = mkdtempSync(join(tmpdir(), 'virt-sandbox-test-'));
  const cache = makeCache();
  after(() => {
    rmSync(directory, { recursive: true, force: true });
    removeCache(cache);
  });

  before(async () => {
    const profile = join(directory, 'profile.json');
    writeFileSync(profile, JSON.stringify(PROFILE));
    const media = join(directory, 'media');
    mkdirSync(media);
    image = join(media, 'mount.qcow2');
    const content = join(directory, 'content');
    mkdirSync(content);
    writeFileSync(join(content, 'hello'), 'hello\n');
    execFileSync('qemu-img', ['convert', '-O', 'qcow2', ext4Of(content, join(directory, 'ext4.img')), image]);
    copyFileSync(image, join(media, 'disk.qcow2'));
    const mounts = nestedHostMounts(cache, media);
    // One for each kind of sandbox.
    const sets = 'root-9p,root-virtiofs,block,filesystem-ext4,overlay';
    await bakeJson(cache, ['create', '--kernver', DEBIAN_KERNEL, '--with', sets, '--name', IMAGE]);
    const result = await runSandbox(
      [
        ...['-c', embedded.uri, '--kernver', DEBIAN_KERNEL, '--profile', profile, '-p', '--memory', '1536'],
        ...[...mounts, '--', 'sh', '-c', SCRIPT],
      ],
      { timeout: 800_000 },
    );
    const parts = result.out.split(/^== /m).map((part) => part.trim().split('\n'));
    said = new Map(parts.map(([heading = '', ...lines]) => [heading, lines]));
    assert.ok(said.has('end'), `${result.out}\n${result.stderr}`);
  });

  it('everything is writable without confinement', () => {
    assert.deepEqual(said.get('inherit'), ['unconfined', 'allowed: written', 'denied: written']);
  });

  it("libvirt's template profile confines the sandbox", () => {
    const [label = '', ...rest] = said.get('dynamic') ?? [];
    assert.match(label, /^libvirt-[0-9a-f-]{36} \(enforce\)$/);
    assert.deepEqual(rest, ['allowed: written', 'denied: refused']);
  });

  it('a profile loaded by hand confines the sandbox with that UUID', () => {
    assert.deepEqual(said.get(`static,label=libvirt-${UUID}`), [
      `libvirt-${UUID} (enforce)`,
      'allowed: written',
      'denied: refused',
    ]);
  });

  it('each service has a profile of its own', () => {
    const lines = said.get('services') ?? [];
    const uuids = lines.filter((line) => line.startsWith('uuid=')).map((line) => line.slice('uuid='.length));
    assert.equal(new Set(uuids).size, 2, lines.join('\n'));
    const of = (uuid: string) => [`uuid=${uuid}`, `libvirt-${uuid} (enforce)`, 'allowed: written', 'denied: refused'];
    assert.deepEqual(lines, uuids.flatMap(of));
  });

  it('a service in a machine has a profile of its own, and writes to its state', () => {
    const lines = said.get('service in a machine') ?? [];
    const [, uuid = ''] = /^uuid=(.*)$/.exec(lines[0] ?? '') ?? [];
    assert.equal(lines[1], `libvirt-${uuid} (enforce)`, lines.join('\n'));
    assert.match(lines[2] ?? '', /^flags:\s+\d+2$/);
    // Its state is gone.
    assert.deepEqual(lines.slice(3), []);
  });

  it("libvirt's profile limits a machine's QEMU to the files of the sandbox", () => {
    const [label = '', inside, outside, ids = ''] = said.get('machine') ?? [];
    assert.match(label, /^libvirt-[0-9a-f-]{36} \(enforce\)$/);
    // QEMU's monitor is asked to open a file of the sandbox's root, and one that is readable to all.
    assert.equal(inside, 'OK');
    assert.equal(outside, "Could not open '/var/tmp/outside': Permission denied");
    // It has disks, and libvirtd may start no program of ours that would confine a QEMU which owns them.
    assert.equal(/^Uid:\t(\d+)/.exec(ids)?.[1], String(QEMU_IDS.first), said.get('machine')?.join('\n'));
  });

  it("a libvirtd that may start no other server of shares starts libvirt's", () => {
    const parts = said.get('share') ?? [];
    const [lines, why] = [parts.slice(0, -1), parts.at(-1)];
    assert.deepEqual(lines.map(programOf), ['virtiofsd'], parts.join('\n'));
    assert.match(
      why ?? '',
      /AppArmor forbids it, and a line "\S+ PUx," in \S+ allows it, when the profile is loaded again$/,
    );
  });

  it('a rule for ours has libvirtd start it', () => {
    const lines = said.get('share with a rule') ?? [];
    // The root's is two processes of ours, and that of the directory is one and a virtiofsd.
    const programs = ['root-server', 'root-server', 'share-server', 'virtiofsd'];
    assert.deepEqual(lines.map(programOf).sort(), programs, lines.join('\n'));
    const server = lines.find((line) => programOf(line) === 'virtiofsd') ?? '';
    // No MKNOD.
    assert.equal(BigInt(`0x${server.split(' ').at(-1)}`) & (1n << 27n), 0n, server);
  });

  it("a user's libvirtd that may not start what confines QEMU starts QEMU, and -v says what allows it", () => {
    const [program, label, confined, why = ''] = said.get('session') ?? [];
    assert.deepEqual([program, label, confined], ['qemu-system-x86_64', 'libvirtd (enforce)', '0'], why);
    assert.match(why, /, because AppArmor keeps .*\/qemu-wall; a line "\/\S+\/qemu-wall PUx," in \S+ allows it/);
  });

  it("a rule for what confines a user's QEMU has libvirtd start it", () => {
    const lines = said.get('session with a rule');
    assert.deepEqual(lines, ['qemu-system-x86_64', 'libvirtd (enforce)', '1']);
  });

  it("--net-limit sets the rate of the kernel's scheduler", () => {
    const text = (said.get('limited') ?? []).join('\n');
    // libvirt says KiB; tc counts 1000 bytes for each.
    assert.match(text, /rate 1600Kbit ceil 3200Kbit/);
    assert.match(text, /police .* rate 1280Kbit/);
  });

  it('--net-limit has the bytes of that network wait, and of no other', () => {
    for (const name of ['free', 'limited']) {
      const lines = said.get(name) ?? [];
      assert.equal(lines[0], `${RECEIVED} ${SENT}`, lines.join('\n'));
      assert.match(lines.join('\n'), /^ready\ninterface \S+$/m);
    }
    const limited = (said.get('limited') ?? []).join('\n');
    // How often the scheduler had packets for the container and might send none, and what it had from there and dropped.
    const [, received, waits] = /^qdisc htb .*\n Sent (\d+) bytes .*overlimits (\d+)/m.exec(limited) ?? [];
    assert.ok(Number(received) >= RECEIVED && Number(waits) > 0, limited);
    const [, drops] = /police [^(]*\(dropped (\d+), overlimits/.exec(limited) ?? [];
    assert.ok(Number(drops) > 0, limited);
    assert.doesNotMatch((said.get('free') ?? []).join('\n'), /htb|police/);
  });

  it('an image that is not raw becomes a network block device, as a mount or a disk, and is intact and free afterwards', () => {
    assert.deepEqual(said.get('images'), ['hello', '/dev/sdb /img ext4', '../../sda', '53ef']);
    const raw = join(directory, 'back.img');
    execFileSync('qemu-img', ['convert', '-O', 'raw', image, raw]);
    execFileSync(programPaths('e2fsck')[0] ?? 'e2fsck', ['-f', '-n', raw], { stdio: 'ignore' });
    assert.equal(imageFile(raw, 'inside'), 'written\n');
  });
});
