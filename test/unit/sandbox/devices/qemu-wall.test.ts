/** What an ordinary user's QEMU may reach, by the devices of its sandbox. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import { loadProfile } from '../../../../src/profile/load.js';
import { devicesOf } from '../../../../src/sandbox/devices/devices.js';
import { domainXml } from '../../../../src/sandbox/devices/machine-options.js';
import {
  gapsOfWall,
  makeWall,
  needsWall,
  type Rule,
  reasonAgainstWall,
  sandboxRules,
} from '../../../../src/sandbox/devices/qemu-wall.js';
import { rootLink } from '../../../../src/sandbox/devices/root-view.js';
import { assertDomain, EXT4, unlessSchema } from '../../../helpers/domain-xml.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const NAME = 'wall';
/** How an ordinary user's QEMU serves directories, whoever runs the tests. */
const server = { kind: 'session', readOnlyVirtiofs: false } as const;

async function partsOf(options: Record<string, unknown> = {}) {
  const config = await configFromOptions({ command: ['/bin/true'], ...options });
  const devices = devicesOf(config, { name: NAME, images: new Map([[0, EXT4]]), server });
  const shares = devices.shares.map((share) => ({ ...share, transport: '9p' }) as const);
  const parts = {
    platform: 'machine',
    name: NAME,
    image: { kernel: '/k', initrd: '/i' },
    acceleration: 'tcg',
    profile: await loadProfile(undefined),
    securityLabels: [],
    snapshot: undefined,
    devices: { ...devices, shares },
  } as const;
  return { config, parts };
}

async function rulesOf(options: Record<string, unknown> = {}): Promise<readonly Rule[]> {
  return sandboxRules((await partsOf(options)).parts);
}

const BARE: readonly Rule[] = [
  ['root', rootLink(NAME)],
  ['read', '/k'],
  ['read', '/i'],
];

describe('the rules of a QEMU', () => {
  it('are the root and what boots', async () => {
    assert.deepEqual(await rulesOf(), BARE);
  });

  it('have the directories of mounts, to read or to change', async () => {
    const mount = ['host-bind:/b=/srv/b,ro'];
    assert.deepEqual(await rulesOf({ mount }), [...BARE, ['read', '/srv/b']]);
    assert.deepEqual(await rulesOf({ mount: [...mount, 'host-bind:/a=/srv/a', 'ram:/r=1M'] }), [
      ...BARE,
      ['read', '/srv/b'],
      ['write', '/srv/a'],
      ['metadata'],
    ]);
    // Then nothing of the host's root is served.
    assert.deepEqual(await rulesOf({ mount: ['host-bind:/=/srv/a,ro'] }), [...BARE.slice(1), ['read', '/srv/a']]);
  });

  it('have disks and images', async () => {
    const disk = ['file:a=/srv/a', 'file:b=/srv/b,ro', 'block:c=/dev/null'];
    assert.deepEqual(await rulesOf({ disk, mount: ['host-image:/i=/srv/i,ro'] }), [
      ...BARE,
      ['write', '/srv/a'],
      ['read', '/srv/b'],
      ['device', '/dev/null'],
      ['read', '/srv/i'],
    ]);
  });

  it('allow reading everything where a disk may consist of other files', {
    skip: unlessProgram('qemu-img'),
  }, async (t) => {
    const directory = scratchDirectory(t);
    const make = (name: string, ...words: readonly string[]) => {
      execFileSync('qemu-img', ['create', '-q', ...words, join(directory, name), '1M']);
      return rulesOf({ disk: [`file:a=${join(directory, name)},format=${words[1]}`] });
    };
    const readsAll = (rules: readonly Rule[]) => rules.some(([word]) => word === 'read-all');
    assert.ok(!readsAll(await make('alone', '-f', 'qcow2')));
    assert.ok(!readsAll(await make('old', '-f', 'qcow2', '-o', 'compat=0.10')));
    const backed = ['-f', 'qcow2', '-F', 'qcow2', '-b', join(directory, 'alone')];
    assert.ok(readsAll(await make('backed', ...backed)));
    const data = `data_file=${join(directory, 'data')}`;
    assert.ok(readsAll(await make('outside', '-f', 'qcow2', '-o', data)));
    assert.ok(readsAll(await make('other', '-f', 'vmdk')));
    writeFileSync(join(directory, 'short'), 'QFI');
    assert.ok(readsAll(await rulesOf({ disk: [`file:a=${join(directory, 'short')},format=qcow2`] })));
  });

  it('allow sockets where QEMU is the network', async () => {
    // As on a host without passt.
    const { parts } = await partsOf({ network: ['dhcp,host-loopback'] });
    const interfaces = parts.devices.interfaces.map((entry) => ({ ...entry, passt: undefined }));
    const own = sandboxRules({ ...parts, devices: { ...parts.devices, interfaces } });
    assert.deepEqual(own.slice(BARE.length, BARE.length + 1), [['network']]);
    assert.ok(!(await rulesOf({ network: ['dhcp'] })).some(([word]) => word === 'network'));
  });

  it('do not fit a profile whose arguments name files', async () => {
    const { parts } = await partsOf();
    const withArguments = (...qemuArguments: string[]) =>
      reasonAgainstWall({ profile: { ...parts.profile, qemuArguments } });
    assert.equal(reasonAgainstWall(parts), undefined);
    assert.equal(withArguments('-machine', 'hpet=off'), undefined);
    assert.match(withArguments('-D', '/tmp/log') ?? '', /name files/);
  });
});

describe('what libvirt starts as QEMU', () => {
  it('is a program that finds QEMU and the rules', { skip: unlessSchema }, async (t) => {
    const directory = scratchDirectory(t);
    const cache = process.env['XDG_CACHE_HOME'];
    process.env['XDG_CACHE_HOME'] = directory;
    t.after(() => {
      if (cache === undefined) delete process.env['XDG_CACHE_HOME'];
      else process.env['XDG_CACHE_HOME'] = cache;
    });
    const { config, parts } = await partsOf();
    const emulator = makeWall(directory, sandboxRules(parts));
    assert.ok(emulator !== undefined, 'there is a QEMU');
    assert.equal(readlinkSync(join(emulator.path, '../qemu')), realpathSync('/usr/bin/qemu-system-x86_64'));
    assert.ok(statSync(emulator.path).isFile());
    assert.equal(
      readFileSync(join(directory, 'wall'), 'utf8'),
      `report\0${directory}/wall.landlock\0root\0${rootLink(NAME)}\0read\0/k\0read\0/i\0`,
    );
    // The next one has the same path, so libvirt knows what it can do.
    assert.equal(makeWall(directory, [])?.path, emulator.path);
    assertDomain(directory, domainXml(config, parts, {}, '/s', { emulator }), [
      ['string(/domain/devices/emulator)', emulator.path],
      ['string(//*[local-name()="env"]/@name)', 'VIRT_SANDBOX_WALL'],
      ['string(//*[local-name()="env"]/@value)', join(directory, 'wall')],
    ]);
  });

  it('is QEMU itself for root, and where QEMU has another user', () => {
    assert.equal(needsWall('system'), false);
    assert.equal(needsWall('lxc'), false);
    assert.equal(needsWall('embedded'), process.geteuid?.() !== 0);
  });
});

describe('what a kernel leaves QEMU', () => {
  it('is told', (t) => {
    const directory = scratchDirectory(t);
    const gapsWith = (version: string) => {
      writeFileSync(join(directory, 'wall.landlock'), version);
      return gapsOfWall(directory);
    };
    assert.equal(gapsOfWall(directory), undefined);
    assert.match(gapsWith('0\n') ?? '', /files of its user, because this kernel has no Landlock$/);
    assert.match(gapsWith('5\n') ?? '', /signals: Landlock of this kernel is version 5$/);
    assert.equal(gapsWith('6\n'), undefined);
  });
});
