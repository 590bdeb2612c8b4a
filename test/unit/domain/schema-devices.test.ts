/**
 * XML that no single option shows, checked against libvirt's schema: shells, profiles, slots, transports, containers.
 */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ConfigOptions } from '../../../src/config/options.js';
import { canMakeTerminals } from '../../../src/domain/shell.js';
import type { Snapshot } from '../../../src/image/snapshot/record.js';
import { assertDomain, containerOf, EXT4, labels, machineOf, PROFILE, unlessSchema } from '../../helpers/domain-xml.js';
import { scratchDirectory } from '../../helpers/scratch.js';

/** A session belongs to the user who runs this test. */
const ofSession = { server: { kind: 'session', readOnlyVirtiofs: false } } as const;

describe('the XML of a machine is valid', { skip: unlessSchema }, () => {
  it('with a shell: a terminal for virsh, and a socket that QEMU listens on', {
    skip: !canMakeTerminals('session') && 'this user may not open /dev/ptmx',
  }, async (t) => {
    assertDomain(scratchDirectory(t), await machineOf({ shell: true }, ofSession), [
      ["count(//serial[@type='pty'])", '1'],
      // virsh takes the first port; the log is on the other.
      ["string(//serial[@type='pty']/target/@port)", '0'],
      ["string(//serial[@type='unix']/target/@port)", '1'],
      ["string(//channel[target/@name and source/@mode='bind']/@type)", 'unix'],
    ]);
  });

  it('with a breakpoint: the socket alone', async (t) => {
    const breakpoint = { step: 'system', onStop: async () => true };
    assertDomain(scratchDirectory(t), await machineOf({}, {}, { breakpoint }), [
      ['count(//serial)', '1'],
      ["count(//channel/source[@mode='bind'])", '1'],
    ]);
  });

  for (const profile of ['default', 'compatible', 'fast']) {
    it(`with the profile ${profile} and a device of every kind`, async (t) => {
      const options: ConfigOptions = {
        ...{ profile, network: ['dhcp', 'dhcp,source=lab'], disk: ['file:a=/tmp/a'], vcpus: '2' },
        mount: ['host-image:/i=/tmp/a.qcow2', 'host-bind:/a=/tmp', 'host-bind:/b=/srv,ro'],
        graphics: 'vnc,size=800x600',
        sound: true,
      };
      assertDomain(scratchDirectory(t), await machineOf(options), [
        ['count(//interface)', '1'],
        [`count(//*[name()='qemu:arg'][contains(@value, '"type":"stream"')])`, '1'],
        ['count(//disk)', '2'],
        ['count(//filesystem)', '3'],
        ["string(//graphics[@type='vnc']/listen/@type)", 'none'],
        ["string(//video/model[@type='virtio']/resolution/@x)", '800'],
        ["count(//input[@bus='virtio'])", '2'],
        ["string(//sound[@model='virtio']/@streams)", '1'],
        ['string(//audio/@type)', 'none'],
        ['count(//graphics)', '1'],
        ['string(//graphics/audio/@id)', '1'],
        // libvirt's default machine brings its own firmware and buses.
        ['boolean(//loader)', String(profile !== 'compatible')],
      ]);
    });
  }

  it('with a sound card and no screen', async (t) => {
    assertDomain(scratchDirectory(t), await machineOf({ sound: true }), [
      ["string(//graphics[@type='vnc']/listen/@type)", 'none'],
      ['string(//graphics/audio/@id)', '1'],
      ['string(//video/model/@type)', 'none'],
      ['count(//input)', '0'],
    ]);
  });

  it('restored from a snapshot, with used and unused slots', async (t) => {
    const record = { slots: { mounts: 2, disks: 2, networks: 2 } };
    const snapshot = { directory: '/var/warm', record } as unknown as Snapshot;
    const options = { network: ['dhcp'], disk: ['file:a=/tmp/a'], mount: ['host-bind:/a=/srv,ro'] };
    assertDomain(scratchDirectory(t), await machineOf(options, { snapshot }), [
      ['count(//os/kernel)', '0'],
      // The root, the mount, and an empty directory in the unused slot.
      ['count(//filesystem)', '3'],
      ["count(//filesystem/source[starts-with(@dir, '/var/warm/')])", '1'],
      ["count(//*[name()='qemu:arg'][contains(@value, 'vacant-disk')])", '2'],
      ["count(//*[name()='qemu:arg'][contains(@value, 'vacant-network')])", '2'],
    ]);
  });

  it('with virtiofs shares, read-only and writable', async (t) => {
    const server = { kind: 'system', readOnlyVirtiofs: true } as const;
    const options = { mount: ['host-bind:/a=/tmp', 'host-bind:/b=/srv,ro'] };
    assertDomain(scratchDirectory(t), await machineOf(options, { server }), [
      ["count(//filesystem[driver/@type='virtiofs'])", '2'],
      ["string(//filesystem[driver/@type='virtiofs'][readonly]/source/@dir)", '/srv'],
      // virtiofsd needs shared memory.
      ['string(//memoryBacking/access/@mode)', 'shared'],
    ]);
    const older = { kind: 'system', readOnlyVirtiofs: false } as const;
    assertDomain(scratchDirectory(t), await machineOf(options, { server: older }), [
      ["string(//filesystem[driver/@type='virtiofs']/source/@dir)", '/tmp'],
      ["count(//filesystem[source/@dir='/srv'][readonly])", '1'],
    ]);
  });

  it('with a root over virtiofs, whose server libvirt does not start', async (t) => {
    const server = { kind: 'embedded', readOnlyVirtiofs: false } as const;
    assertDomain(scratchDirectory(t), await machineOf({}, { server, root: 'virtiofs' }), [
      ["count(//filesystem[driver/@type='virtiofs']/source[@socket][not(@dir)])", '1'],
      ['count(//filesystem/binary)', '0'],
      ['string(//memoryBacking/access/@mode)', 'shared'],
    ]);
  });
});

describe('the XML of a container is valid', { skip: unlessSchema }, () => {
  async function image(t: TestContext): Promise<string> {
    const path = join(scratchDirectory(t), 'image');
    writeFileSync(path, Buffer.alloc(1 << 20));
    return path;
  }

  it('with disks and a file system image', async (t) => {
    const path = await image(t);
    const options = {
      disk: [`file:a=${path},ro`, `file:q=${path}.qcow2`, 'block:b=/dev/vda'],
      mount: ['ram:/r=1M', `host-image:/i=${path},ro`],
    };
    const images = new Map([[1, EXT4]]);
    assertDomain(scratchDirectory(t), await containerOf(options, { images }), [
      ['count(//disk)', '4'],
      ['count(//disk[readonly])', '2'],
      ["string(//disk[@type='block']/source/@dev)", '/dev/vda'],
      ["count(//disk[source/@file][driver/@name='loop'])", '2'],
      ["string(//disk[contains(source/@file, 'qcow2')]/driver/@name)", 'nbd'],
      ["count(//disk[target/@dev='sda' or target/@dev='sdb' or target/@dev='sdc' or target/@dev='sdd'])", '4'],
    ]);
  });

  it('with a shell, which is one more console', async (t) => {
    const consoles = async (shell: boolean) => (await containerOf({ shell })).match(/<console/g)?.length ?? 0;
    assert.equal(await consoles(true), (await consoles(false)) + 1);
    assertDomain(scratchDirectory(t), await containerOf({ shell: true }), []);
  });

  for (const [what, securityLabels, facts] of [
    [
      'a dynamic AppArmor profile',
      labels('apparmor', 'dynamic'),
      [["string(//seclabel[@model='apparmor']/@type)", 'dynamic']],
    ],
    [
      'an AppArmor profile',
      labels('apparmor', 'static', PROFILE),
      [
        ["string(//seclabel[@type='static']/label)", PROFILE],
        ['string(/domain/uuid)', PROFILE.slice('libvirt-'.length)],
      ],
    ],
    ['an unconfined caller', labels('apparmor', 'inherit'), [['string(//seclabel/@type)', 'none']]],
    ['an inherited SELinux label', labels('selinux', 'inherit'), [['string(//seclabel/@relabel)', 'yes']]],
  ] as const) {
    it(`with ${what}`, async (t) =>
      assertDomain(scratchDirectory(t), await containerOf({}, { securityLabels }), facts));
  }
});
