/** What an ordinary user's QEMU may reach, by the devices of its sandbox. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import { loadProfile } from '../../../../src/profile/load.js';
import { devicesOf } from '../../../../src/sandbox/devices/devices.js';
import { domainXml } from '../../../../src/sandbox/devices/machine-options.js';
import {
  disksOfMoreFiles,
  gapsOfWall,
  makeWall,
  needsWall,
  type Rule,
  reasonAgainstWall,
  sandboxRules,
  treeOf,
} from '../../../../src/sandbox/devices/qemu-wall.js';
import { rootLink } from '../../../../src/sandbox/devices/root-view.js';
import { hostProgram } from '../../../../src/util/programs.js';
import { assertDomain, EXT4, unlessSchema } from '../../../helpers/domain-xml.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const NAME = 'wall';
const QEMU = '/usr/bin/qemu-system-x86_64';
/** How an ordinary user's QEMU serves directories, whoever runs the tests. */
const server = { kind: 'session', readOnlyVirtiofs: false } as const;

async function partsOf(options: Record<string, unknown> = {}) {
  const config = await configFromOptions({ command: ['/bin/true'], ...options });
  const devices = devicesOf(config, { name: NAME, images: new Map([[0, EXT4]]), server, root: '9p' });
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
    const disk = ['file:a=/srv/a', 'file:b=/srv/b,ro', 'block:c=/dev/null', 'block:d=/dev/zero,ro'];
    assert.deepEqual(await rulesOf({ disk, mount: ['host-image:/i=/srv/i,ro'] }), [
      ...BARE,
      ['write', '/srv/a'],
      ['read', '/srv/b'],
      ['device', '/dev/null'],
      ['read-device', '/dev/zero'],
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

  it('do so with a warning where a QEMU that was taken over may have written what a disk refers to', {
    skip: unlessProgram('qemu-img'),
  }, (t) => {
    const directory = scratchDirectory(t);
    const at = (name: string) => join(directory, name);
    const warningFor = (name: string, format: string, readOnly = false) => {
      const disk = { serial: 'a', source: at(name), isBlock: false, format, readOnly };
      return disksOfMoreFiles([disk]).join('\n');
    };
    const create = (name: string, ...words: readonly string[]) =>
      execFileSync('qemu-img', ['create', '-q', ...words, at(name), '1M']);
    create('alone', '-f', 'qcow2');
    create('backed', '-f', 'qcow2', '-F', 'qcow2', '-b', at('alone'));
    create('outside', '-f', 'qcow2', '-o', `data_file=${at('data')}`);
    create('other', '-f', 'vmdk');
    assert.equal(warningFor('alone', 'qcow2'), '');
    assert.equal(warningFor('alone', 'raw'), '');
    assert.ok(warningFor('backed', 'qcow2').includes(`${at('backed')} refers to the backing file "${at('alone')}"`));
    assert.ok(warningFor('outside', 'qcow2').includes(`${at('outside')} refers to the data file "${at('data')}"`));
    assert.match(warningFor('other', 'vmdk'), /other refers to other files, as any image of the format vmdk/);
    // Nobody inside writes to it.
    assert.equal(warningFor('backed', 'qcow2', true), '');
  });

  it('have the tree of a QEMU outside /usr, unless it is of the home', (t) => {
    const directory = scratchDirectory(t);
    const at = (name: string) => join(directory, name);
    for (const name of ['opt/bin', 'home/user/.local/bin', 'home/bin']) mkdirSync(at(name), { recursive: true });
    symlinkSync('home/user', at('link'));
    const treeIn = (name: string, home = 'home/user') => treeOf(at(join(name, 'qemu-system-x86_64')), at(home));
    assert.deepEqual(treeIn('opt/bin'), [['read', at('opt')]]);
    assert.deepEqual(treeIn('opt/bin', 'none'), [['read', at('opt')]]);
    assert.deepEqual(treeIn('home/user/.local/bin'), []);
    assert.deepEqual(treeIn('link/.local/bin'), []);
    assert.deepEqual(treeIn('home/user/.local/bin', 'link'), []);
    assert.deepEqual(treeIn('home/bin'), []);
    assert.deepEqual(treeOf(QEMU), []);
    assert.deepEqual(treeOf('/bin/qemu-system-x86_64'), []);
  });

  it('let QEMU read a read-only block device, and not write to it', (t) => {
    const directory = scratchDirectory(t);
    const at = (name: string) => join(directory, name);
    symlinkSync(hostProgram('qemu-wall'), at('qemu-wall'));
    symlinkSync('/bin/bash', at('qemu'));
    writeFileSync(at('disk'), 'text\n');
    const attempt = (word: 'read-device' | 'device') => {
      rmSync(at('wall.landlock'), { force: true });
      writeFileSync(at('wall'), ['report', at('wall.landlock'), word, at('disk'), ''].join('\0'));
      const script = 'read line <"$0" && echo "$line"; if echo word >>"$0"; then echo written; fi';
      const env = { PATH: '/usr/bin:/bin', VIRT_SANDBOX_WALL: at('wall') };
      const run = spawnSync(at('qemu-wall'), ['-c', script, at('disk')], { encoding: 'utf8', env, cwd: '/' });
      return run.stdout;
    };
    assert.equal(attempt('device'), 'text\nwritten\n');
    const hasLandlock = Number(readFileSync(at('wall.landlock'), 'utf8')) > 0;
    assert.equal(attempt('read-device'), hasLandlock ? 'text\n' : 'text\nwritten\n');
  });

  it('let QEMU through to no file that the image of an overlay has come to name', {
    skip: unlessProgram('qemu-img'),
  }, async (t) => {
    const image = join(scratchDirectory(t), 'kept.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', image, '1M']);
    assert.deepEqual(await rulesOf({ overlay: image }), [...BARE, ['write', image]]);
    execFileSync('qemu-img', ['rebase', '-q', '-u', '-b', '/etc/passwd', '-F', 'raw', image]);
    await assert.rejects(rulesOf({ overlay: image }), { code: 'overlay-image-names-file' });
  });

  it('allow sockets where QEMU is the network', async () => {
    // As on a host without passt.
    const { parts } = await partsOf({ network: ['dhcp,host-loopback'] });
    const interfaces = parts.devices.interfaces.map((entry) => ({ ...entry, passt: undefined }));
    const own = sandboxRules({ ...parts, devices: { ...parts.devices, interfaces } });
    assert.deepEqual(own.slice(BARE.length, BARE.length + 1), [['network']]);
    assert.ok(!(await rulesOf({ network: ['dhcp'] })).some(([word]) => word === 'network'));
  });

  it('do not fit a profile whose arguments name files, or a QEMU that only libvirt finds', async () => {
    const { parts } = await partsOf();
    const withArguments = (...qemuArguments: string[]) =>
      reasonAgainstWall({ profile: { ...parts.profile, qemuArguments } }, 'embedded', QEMU);
    assert.equal(reasonAgainstWall(parts, 'embedded', QEMU), undefined);
    assert.equal(withArguments('-machine', 'hpet=off'), undefined);
    assert.match(withArguments('-D', '/tmp/log') ?? '', /name files/);
    assert.match(reasonAgainstWall(parts, 'embedded', undefined) ?? '', /no qemu-system-x86_64 in PATH/);
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
    const emulator = makeWall(directory, sandboxRules(parts), QEMU);
    assert.equal(readlinkSync(join(emulator.path, '../qemu')), realpathSync(QEMU));
    assert.ok(statSync(emulator.path).isFile());
    assert.equal(
      readFileSync(join(directory, 'wall'), 'utf8'),
      `report\0${directory}/wall.landlock\0root\0${rootLink(NAME)}\0read\0/k\0read\0/i\0`,
    );
    // The next one has the same path, so libvirt knows what it can do.
    assert.equal(makeWall(directory, [], QEMU).path, emulator.path);
    assertDomain(directory, domainXml(config, parts, {}, '/s', { emulator }), [
      ['string(/domain/devices/emulator)', emulator.path],
      ['string(//*[local-name()="env"]/@name)', 'VIRT_SANDBOX_WALL'],
      ['string(//*[local-name()="env"]/@value)', join(directory, 'wall')],
    ]);
  });

  it('is QEMU itself for root, and where QEMU has another user', () => {
    const kinds = ['system', 'lxc', 'session', 'embedded'] as const;
    assert.deepEqual(
      kinds.map((kind) => needsWall(kind, 0)),
      [false, false, false, false],
    );
    assert.deepEqual(
      kinds.map((kind) => needsWall(kind, 1000)),
      [false, false, true, true],
    );
  });
});

describe('what a kernel leaves QEMU', () => {
  it('is told', (t) => {
    const directory = scratchDirectory(t);
    const gapsWith = (version: string) => {
      writeFileSync(join(directory, 'wall.landlock'), version);
      return gapsOfWall(directory);
    };
    // A QEMU that libvirt started without the program would be one without rules.
    assert.throws(() => gapsOfWall(directory), { code: 'qemu-not-confined' });
    assert.throws(() => gapsWith(''), { code: 'qemu-not-confined' });
    assert.match(
      gapsWith('0\n') ?? '',
      /^QEMU can do what its user can with files and processes, because this kernel has no Landlock$/,
    );
    assert.match(gapsWith('5\n') ?? '', /signals: Landlock of this kernel is version 5$/);
    assert.equal(gapsWith('6\n'), undefined);
  });
});
