/** Slots of snapshots: disks, images and networks of restored machines. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { indexDirectory } from '../../src/image/store/store.js';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { guestInit } from '../helpers/guest-init.js';
import { mounted } from '../helpers/hide.js';
import { imageFile, makeImage, unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { PrivateLibvirt, unlessPrivateLibvirt } from '../helpers/private-libvirt.js';
import { assertFailure, assertRun, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { bakeUsualFor, USUAL_SLOTS, type UsualSnapshot, usualSnapshot } from '../helpers/usual-snapshot.js';

const WARM = [...ACCEL, '--boot', 'warm'];
const MIB = 1 << 20;

function sparse(directory: string, name: string, size: number): string {
  const path = join(directory, name);
  writeFileSync(path, '');
  truncateSync(path, size);
  return path;
}

/** Facts of a sandbox with the disk `with space`, an image on /media, and an interface. */
const FACTS = {
  links:
    'cd /dev/disk/by-tag && for link in *; do echo "$link: $(cat /sys/block/$(basename $(readlink "$link"))/serial)"; done',
  blocks: 'cat /sys/block/*/size',
  readOnly: 'cat /sys/block/vdb/ro',
  format:
    'mkfs.ext4 -q "/dev/disk/by-tag/with space" && mount "/dev/disk/by-tag/with space" /mnt && hostname > /mnt/name',
  media: 'cat /media/content; touch /media/other',
  links_up: 'ls /sys/class/net',
  mac: 'cat /sys/class/net/eth*/address',
  address: 'busybox ip -4 addr show dev eth0 | grep -o "inet [^ ]*"',
} as const;

interface Media {
  readonly disk: string;
  readonly image: string;
}

/** An empty disk, and an image with a file `content`. */
function media(directory: string, content: string): Media {
  const disk = sparse(directory, 'disk.img', 24 * MIB);
  const image = makeImage(directory, 'ext4');
  writeFileSync(join(directory, 'text'), content);
  execFileSync('debugfs', ['-w', '-R', `write ${join(directory, 'text')} content`, image], { stdio: 'ignore' });
  return { disk, image };
}

function argsFor(name: string, { disk, image }: Media): string[] {
  return [
    ...['-n', name, '-p', '-N', 'dhcp', '--disk', `file:with space=${disk}`],
    ...['-m', `host-image:/media=${image},ro`],
  ];
}

function assertFacts(found: Record<keyof typeof FACTS, string>, content: string, mac: string): void {
  assert.deepEqual(found, {
    links: 'with space: disk0',
    blocks: `${24 * 2048}\n${16 * 2048}`,
    readOnly: '1',
    format: '',
    media: `${content}touch: cannot touch '/media/other': Read-only file system`,
    links_up: 'eth0\nlo',
    mac,
    address: 'inet 10.0.2.15/24',
  });
}

/** The hardware address that QEMU would be told. */
async function macOf(args: readonly string[], options = {}): Promise<string> {
  const { out } = await runSandbox([...args, '--print-xml', '--', 'true'], options);
  return /&quot;mac&quot;:&quot;([0-9a-f:]+)&quot;/.exec(out)?.[1] ?? '';
}

const unlessTools = unlessProgram('mkfs.ext4', 'debugfs', 'busybox');

describe('slots of a snapshot, as root', { skip: embedded.skip || unlessTools }, () => {
  let snapshot: UsualSnapshot;
  let env: UsualSnapshot['env'] = {};
  before(async () => {
    snapshot = await usualSnapshot();
    env = snapshot.env;
  });
  after(() => snapshot?.remove());

  it('take little space, and show reports them', () => {
    const { warmSize, slots } = snapshot.baked;
    assert.ok(warmSize <= 80e6, `${warmSize} bytes`);
    assert.deepEqual(slots, USUAL_SLOTS);
  });

  for (const way of [embedded, system]) {
    it(`serve disks, images and networks over ${way.uri} to two sandboxes at once`, {
      skip: way.skip,
    }, async (t) => {
      const two = [uniqueName(), uniqueName()].map((name) => {
        const content = `of ${name}\n`;
        return { name, content, ...media(scratchDirectory(t), content) };
      });
      const found = await Promise.all(
        two.map(({ name, ...its }) => ask([...WARM, '-c', way.uri, ...argsFor(name, its)], FACTS, { env })),
      );
      for (const [index, { name, content, disk, image }] of two.entries()) {
        const facts = found[index];
        assert.ok(facts);
        assertFacts(facts, content, await macOf(['-c', way.uri, ...argsFor(name, { disk, image })], { env }));
        assert.equal(imageFile(disk, 'name'), `${name}\n`);
        await assertNothingLeft(name, way.where);
      }
      assert.notEqual(found[0]?.mac, found[1]?.mac);
    });
  }

  it('serve a sandbox that needs fewer, also when the inputs of the image are unknown', async () => {
    // Others use the store, too.
    const index = indexDirectory(join(snapshot.baked.image, '..'));
    const options = { env, through: mounted(`mount -t tmpfs none '${index}'`) };
    assertRun(await runSandbox([...WARM, '-c', embedded.uri, '--', 'echo', 'warm'], options), 0, 'warm\n');
  });

  it('stay hidden when they are unused', async () => {
    const facts = { blocks: 'ls /sys/block; ls /dev | grep -E "^(vd|disk)"', links: 'ls /sys/class/net' };
    const found = await ask([...WARM, '-c', embedded.uri], facts, { env });
    assert.deepEqual(found, { blocks: '', links: 'lo' });
  });

  it('serve disks that have threads of QEMU, which the saved machine had not', async (t) => {
    const directory = scratchDirectory(t);
    const disks = ['a', 'b'].flatMap((tag) => ['--disk', `file:${tag}=${sparse(directory, tag, 2 * MIB)}`]);
    const write = 'for tag in a b; do printf "I am $tag" | dd of=/dev/disk/by-tag/$tag status=none; done';
    const args = [...WARM, '-c', embedded.uri, ...disks, '--io-threads', '2', '--', 'sh', '-c', write];
    assertRun(await runSandbox(args, { env }), 0, '');
    for (const tag of ['a', 'b']) {
      assert.equal(readFileSync(join(directory, tag)).subarray(0, 6).toString(), `I am ${tag}`);
    }
  });

  it('serve disks of every format, written to and read by tag', async (t) => {
    const directory = scratchDirectory(t);
    const packed = join(directory, 'b.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', packed, '3G']);
    const raw = sparse(directory, 'a.img', 5 * MIB);
    const args = ['-c', embedded.uri, '--disk', `file:packed=${packed}`, '--disk', `file:raw=${raw}`];
    const found = await ask(
      [...WARM, ...args],
      {
        sizes: 'for tag in packed raw; do busybox blockdev --getsize64 $(readlink -f /dev/disk/by-tag/$tag); done',
        // The end of the sandbox flushes it.
        write:
          'for tag in packed raw; do printf "I am $tag" | dd of=/dev/disk/by-tag/$tag bs=1M seek=3 status=none; done',
      },
      { env },
    );
    assert.deepEqual(found, { sizes: `${3 * 1024 * MIB}\n${5 * MIB}`, write: '' });
    for (const [format, tag, path] of [
      ['qcow2', 'packed', packed],
      ['raw', 'raw', raw],
    ] as const) {
      const [at, plain] = [`${3 * MIB}`, join(directory, 'plain')];
      // qemu-img counts what it skips.
      const block = ['bs=1M', 'skip=3', 'count=4'];
      execFileSync('qemu-img', ['dd', '-f', format, '-O', 'raw', ...block, `if=${path}`, `of=${plain}`]);
      const text = execFileSync('head', ['-c', String(`I am ${tag}`.length), plain], { encoding: 'utf8' });
      assert.equal(text, `I am ${tag}`, at);
    }
  });

  it('are reported when they are too few, with the command that bakes more', async (t) => {
    const directory = scratchDirectory(t);
    const disks = ['a', 'b', 'c', 'd', 'e'].flatMap((tag) => ['--disk', `file:${tag}=${sparse(directory, tag, MIB)}`]);
    const cold = await runSandbox([...ACCEL, '-v', '--dry-run', ...disks, '--', 'true'], { env });
    assert.equal(cold.code, 0, cold.stderr);
    assert.match(cold.stderr, /boot: cold, because the snapshot \S+ has no slot for a fifth disk$/m);
    const bake = async (args: readonly string[], pattern: string) => {
      const whole = new RegExp(`${pattern} --for '${ACCEL.join(' ')}'$`);
      assertFailure(await runSandbox([...WARM, ...args, '--', 'true'], { env }), whole);
    };
    await bake(disks, 'virt-sandbox-bake create --warm --slots disks=5');
    const networks = ['-N', 'dhcp', '-N', 'dhcp', '-N', 'dhcp'];
    await bake(networks, 'no slot for a third network; .*--slots networks=3');
    if (unlessProgram('mkfs.xfs') === false)
      await bake(
        ['-m', `host-image:/media=${makeImage(directory, 'xfs')}`],
        'was baked without filesystem-xfs; .* --warm --slots disks=1 --with filesystem-xfs',
      );
  });
});

describe('slots of a snapshot, as an ordinary user', { skip: unlessOrdinaryUser() || unlessTools }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
    await bakeUsualFor(user);
  });
  after(() => user.end());

  for (const uri of ['qemu:///session', 'qemu:///embed']) {
    it(`serve a directory, a disk, an image and a network over ${uri}`, async (t) => {
      const [name, directory] = [uniqueName(), scratchDirectory(t)];
      const its = media(directory, 'mine\n');
      writeFileSync(join(directory, 'file'), 'shared');
      for (const path of [directory, its.disk, its.image]) chownSync(path, user.uid, user.gid);
      const args = ['-c', uri, ...argsFor(name, its), '-m', `host-bind:/opt=${directory},ro`];
      const found = await ask([...WARM, ...args], { ...FACTS, shared: 'cat /opt/file' }, user.options);
      const { shared, ...rest } = found;
      assert.equal(shared, 'shared');
      assertFacts(rest, 'mine\n', await macOf(args, user.options));
      assert.equal(imageFile(its.disk, 'name'), `${name}\n`);
      await assertNothingLeft(name, user.where);
    });
  }
});

describe('slots of a snapshot with the common init in the guest', { skip: embedded.skip || unlessTools }, () => {
  it('serve a disk, an image and a network', async (t) => {
    const { args: inside, env, remove } = await guestInit();
    t.after(remove);
    const name = uniqueName();
    const args = ['-c', embedded.uri, ...inside, ...argsFor(name, media(scratchDirectory(t), 'mine\n'))];
    assertFacts(await ask([...WARM, ...args], FACTS, { env }), 'mine\n', await macOf(args, { env }));
    await assertNothingLeft(name);
  });
});

const NETWORK = `<network>
  <name>warmlab</name>
  <bridge name='vswarm0' stp='off' delay='0'/>
  <ip address='192.168.125.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.125.100' end='192.168.125.199'/></dhcp>
  </ip>
</network>`;

describe('a restored network, on the wire', { skip: unlessPrivateLibvirt() || unlessTools }, () => {
  let snapshot: UsualSnapshot;
  let libvirt: PrivateLibvirt;
  before(async () => {
    snapshot = await usualSnapshot();
    libvirt = await PrivateLibvirt.start();
  });
  after(async () => {
    await libvirt?.end();
    snapshot?.remove();
  });

  /** A sandbox that has printed its addresses and waits. */
  async function inNetwork(t: TestContext, ...networks: readonly string[]) {
    const name = uniqueName();
    const script =
      'cat /sys/class/net/eth*/address; busybox nc -w 20 192.168.125.1 9 2>/dev/null </dev/null; echo up; read line';
    const args = ['-c', libvirt.uri, '-n', name, ...networks.flatMap((network) => ['-N', network])];
    const running = startSandbox([...WARM, ...args, '--', 'sh', '-c', script], {
      env: snapshot.env,
      through: libvirt.through,
      input: 'open',
    });
    t.after(() => running.child.stdin?.end('\n'));
    const [said = ''] = await running.until(/^[\s\S]*up\n/);
    const xml = await libvirt.virsh('dumpxml', name);
    const macs = [...xml.matchAll(/<mac address='([^']+)'/g)].map(([, mac]) => mac ?? '');
    return { running, inside: said.split('\n').slice(0, -2), macs };
  }

  /** The hardware addresses of all hosts that sent a packet to this one. */
  async function heard(): Promise<string[]> {
    const text = await libvirt.run('ip', 'neigh', 'show', 'dev', 'vswarm0');
    return [...text.matchAll(/^(192\S+) lladdr (\S+)/gm)].map(([, ip, mac]) => `${ip} ${mac}`);
  }

  it('uses the hardware address that libvirt was told, with a lease or a static address', async (t) => {
    await libvirt.virshFile(scratchDirectory(t), 'net-create', NETWORK);
    const fixed = 'source=warmlab,mac=52:54:00:00:00:09,address=192.168.125.9';
    const both = await Promise.all([
      inNetwork(t, 'source=warmlab,dhcp'),
      inNetwork(t, fixed, 'source=warmlab,mac=52:54:00:00:00:02,address=192.168.125.10/32'),
    ]);
    for (const { inside, macs } of both) assert.deepEqual(inside, macs);
    const [leased, several] = both;
    assert.deepEqual(several.macs, ['52:54:00:00:00:09', '52:54:00:00:00:02']);
    const macs = await heard();
    assert.ok(macs.includes('192.168.125.9 52:54:00:00:00:09'), macs.join('\n'));
    const lease = macs.find((line) => line.endsWith(leased.macs[0] ?? '?'));
    assert.match(lease ?? macs.join('\n'), /^192\.168\.125\.1\d\d /);
    // No other host was seen.
    assert.equal(macs.length, 2, macs.join('\n'));
    for (const { running } of both) {
      running.child.stdin?.write('\n');
      assert.equal((await running.result).code, 0);
    }
  });
});
