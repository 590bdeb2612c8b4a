/** The XML of every option, checked against libvirt's schema. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { ConfigOptions } from '../../../src/config/options.js';
import { securityLabels } from '../../../src/domain/security.js';
import { SandboxError } from '../../../src/util/errors.js';
import {
  assertDomain,
  callerLabel,
  containerOf,
  labels,
  machineOf,
  NAME,
  PROFILE,
  unlessSchema,
} from '../../helpers/domain-xml.js';
import { scratchDirectory } from '../../helpers/scratch.js';

/** QEMU's arguments for the frames that passt gets. */
const STREAM = `//*[name()='qemu:arg'][contains(@value, '"type":"stream"')]`;

describe('the XML of each option is valid', { skip: unlessSchema }, () => {
  const kinds: readonly (readonly [string, ConfigOptions, readonly (readonly [string, string])[]])[] = [
    ['nothing', {}, []],
    [
      'dhcp',
      { network: ['dhcp'] },
      [
        ['count(//interface)', '0'],
        [`count(${STREAM})`, '1'],
        // passt's frames go where libvirt lets QEMU connect.
        [`contains(${STREAM}/@value, string(//channel/source/@path))`, 'true'],
      ],
    ],
    [
      'a source, a MAC address and a filter',
      { network: ['dhcp,source=lab,mac=52:54:00:12:34:56,filter=f,filter.ip=10.0.0.1,filter.x=y'] },
      [
        ['string(//interface/source/@network)', 'lab'],
        ['string(//interface/mac/@address)', '52:54:00:12:34:56'],
        ["string(//filterref[@filter='f']/parameter[@name='IP']/@value)", '10.0.0.1'],
        ['count(//filterref/parameter)', '2'],
      ],
    ],
    ['addresses', { network: ['address=10.0.0.1/8,address=fd00::1,route=0.0.0.0/0%10.0.0.2'] }, []],
    [
      'interfaces with an address each',
      { network: ['dhcp', 'dhcp', 'dhcp,source=lab'] },
      [
        ['count(//interface)', '1'],
        [`count(${STREAM})`, '2'],
        ['string(//interface/rom/@enabled)', 'no'],
        ["count(//interface/mac[starts-with(@address, '52:54:00:')])", '1'],
        [`count(//*[name()='qemu:arg'][contains(@value, '"mac":"52:54:00:')])`, '2'],
        // libvirt does not know of the other two, and must not give their addresses away.
        ['string(//interface/address/@slot)', '0x05'],
      ],
    ],
    ['CPU shares', { cpuShares: '300' }, [['string(/domain/cputune/shares)', '300']]],
    [
      'a disk limit',
      { disk: ['file:a=/tmp/a'], diskLimit: ['a:total_bytes_sec=1000,total_bytes_sec_max=2000,read_iops_sec=10'] },
      [
        ['string(//disk/iotune/total_bytes_sec)', '1000'],
        ['string(//disk/iotune/read_iops_sec)', '10'],
      ],
    ],
    [
      'a network limit',
      { network: ['dhcp', 'dhcp,source=lab'], netLimit: ['1:inbound.average=10,inbound.burst=20,outbound.average=5'] },
      [
        ['count(//interface/bandwidth)', '1'],
        ["string(//interface[@type='network']/bandwidth/inbound/@burst)", '20'],
        ['string(//bandwidth/outbound/@average)', '5'],
      ],
    ],
    ['mounts', { mount: ['host-bind:/a=/tmp', 'ram:/b=1M', 'guest-bind:/c=/tmp'] }, []],
    ['a disk image', { mount: ['host-image:/a=/tmp/a.qcow2'] }, [['string(//disk/driver/@type)', 'qcow2']]],
    ['a block device', { disk: ['block:a=/dev/vda'] }, [["string(//disk[@type='block']/source/@dev)", '/dev/vda']]],
    // No program is compiled for these, and each takes more time than it spares where it is emulated.
    [
      'a processor that is emulated',
      {},
      [
        ['string(//cpu/@mode)', 'maximum'],
        ["count(//cpu/feature[@policy='disable' and (@name='pku' or @name='erms')])", '2'],
      ],
    ],
    ['memory and processors', { memory: '300', vcpus: '2' }, [['string(/domain/vcpu)', '2']]],
  ];
  for (const [what, options, facts] of kinds) {
    it(`a machine with ${what}`, async (t) => assertDomain(scratchDirectory(t), await machineOf(options), facts));
  }

  it("a machine under KVM, with the host's processor", async (t) => {
    assertDomain(scratchDirectory(t), await machineOf({}, { acceleration: 'kvm' }), [
      ['string(//cpu/@mode)', 'host-passthrough'],
      ['count(//cpu/feature)', '2'],
      ["count(//cpu/feature[@name='svm' or @name='vmx'])", '2'],
    ]);
  });

  it('a machine that is pinned', async (t) => {
    assertDomain(scratchDirectory(t), await machineOf({ vcpus: '2', cpuPin: '0-1,3' }), [
      ['count(//vcpupin)', '2'],
      ["string(//vcpupin[@vcpu='1']/@cpuset)", '0-1,3'],
      ['string(//emulatorpin/@cpuset)', '0-1,3'],
    ]);
  });

  const containers: readonly (readonly [string, ConfigOptions])[] = [
    ['nothing', {}],
    ['a network', { network: ['dhcp,source=lab,filter=f,filter.ip=10.0.0.1'], netLimit: ['0:inbound.average=10'] }],
    ['limits', { cpuShares: '300', cpuPin: '0,1' }],
  ];
  for (const [what, options] of containers) {
    it(`a container with ${what}`, async (t) => assertDomain(scratchDirectory(t), await containerOf(options), []));
  }

  for (const [what, elements, facts] of [
    [
      'a dynamic SELinux label',
      labels('selinux', 'dynamic'),
      // Which base that is for KVM, for emulation and for containers is written in the host's policy, for libvirt.
      [
        ["string(//seclabel[@type='dynamic' and @model='selinux']/@relabel)", 'yes'],
        ['count(//seclabel/baselabel)', '0'],
      ],
    ],
    [
      'a dynamic SELinux label from a base of its own',
      labels('selinux', 'dynamic', 'a:b:c:s0'),
      [['string(//seclabel/baselabel)', 'a:b:c:s0']],
    ],
    [
      'a static SELinux label',
      labels('selinux', 'static', 'a:b:c:s0:c1,c2'),
      [["string(//seclabel[@type='static' and @relabel='yes']/label)", 'a:b:c:s0:c1,c2']],
    ],
    ['an inherited SELinux label', labels('selinux', 'inherit'), [['string(//seclabel/label)', callerLabel()]]],
    ['a dynamic AppArmor profile', labels('apparmor', 'dynamic'), [['string(//seclabel/@type)', 'dynamic']]],
    [
      'an AppArmor profile',
      labels('apparmor', 'static', PROFILE),
      [
        ["string(//seclabel[@type='static']/label)", PROFILE],
        ['string(/domain/uuid)', PROFILE.slice('libvirt-'.length)],
      ],
    ],
    ['an unconfined caller', labels('apparmor', 'inherit'), [['string(//seclabel/@type)', 'none']]],
  ] as const) {
    it(`a machine with ${what}`, async (t) =>
      assertDomain(scratchDirectory(t), await machineOf({}, { securityLabels: elements }), facts));
  }

  it('a container with a dynamic SELinux label', async (t) => {
    const elements = labels('selinux', 'dynamic');
    assertDomain(scratchDirectory(t), await containerOf({}, { securityLabels: elements }), [
      ["string(//seclabel[@type='dynamic' and @model='selinux']/@relabel)", 'yes'],
      ['count(//seclabel/baselabel)', '0'],
    ]);
  });
});

const HELPER = '/usr/lib/libvirt/virt-aa-helper';
const unlessHelper = existsSync(HELPER) ? false : `there is no ${HELPER}`;

describe("libvirt's AppArmor profile", { skip: unlessHelper }, () => {
  it('lets a machine use its sockets and read its root and its image, but write to neither', async () => {
    const securityLabels = labels('apparmor', 'static', PROFILE);
    const xml = await machineOf({ network: ['dhcp'] }, { securityLabels, model: 'apparmor' });
    // A dry run: it prints the profile.
    const dynamic = xml.replace('<seclabel type="static"', '<seclabel type="dynamic"');
    const made = spawnSync(HELPER, ['-d', '-c', '-u', PROFILE], { input: dynamic, encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    const view = `/run/libvirt-sandbox/.view/${NAME}/root`;
    const rules = (made.stdout + made.stderr).split('\n').map((line) => line.trim());
    for (const rule of [
      `"/run/libvirt-sandbox/${NAME}/channel" rw,`,
      `"/run/libvirt-sandbox/${NAME}/console" rw,`,
      '"/k/vmlinux" r,',
      '"/k/initrd" r,',
      `"${view}/" r,`,
      `"${view}/**" r,`,
    ]) {
      assert.ok(rules.includes(rule), `${rule}\n${rules.join('\n')}`);
    }
    assert.ok(!rules.some((rule) => rule.startsWith(`"${view}/`) && / \S*w\S*,$/.test(rule)), rules.join('\n'));
    assert.ok(!rules.some((rule) => /^"\/(\*\*)?" /.test(rule)), rules.join('\n'));
  });
});

describe('invalid labels', () => {
  const none = { model: undefined, callerLabel: () => undefined, uuid: undefined } as const;
  for (const [what, options, code] of [
    ['a label without a model', { ...none, security: { mode: 'static', label: 'x' } }, 'security-model-missing'],
    ['a base without a model', { ...none, security: { mode: 'dynamic', label: 'x' } }, 'security-model-missing'],
    [
      'inheriting without a model',
      { ...none, security: { mode: 'inherit', label: undefined } },
      'security-model-missing',
    ],
    [
      'a static label that is none and cannot be read',
      { ...none, model: 'selinux', security: { mode: 'static', label: undefined } },
      'security-label-unknown',
    ],
    [
      'inheriting what cannot be read',
      { ...none, model: 'selinux', security: { mode: 'inherit', label: undefined } },
      'security-label-unknown',
    ],
    [
      'a base for AppArmor',
      { ...none, model: 'apparmor', security: { mode: 'dynamic', label: 'x' } },
      'security-base-label-unsupported',
    ],
    [
      'an AppArmor profile of another name',
      { ...none, model: 'apparmor', security: { mode: 'static', label: 'x' } },
      'security-profile-not-a-domains',
    ],
    [
      'an AppArmor profile of another UUID',
      {
        ...none,
        model: 'apparmor',
        uuid: '99999999-2222-3333-4444-555555555555',
        security: { mode: 'static', label: PROFILE },
      },
      'security-profile-not-a-domains',
    ],
  ] as const) {
    it(`${what} is refused`, () => {
      assert.throws(
        () => securityLabels(options),
        (error) => error instanceof SandboxError && error.code === code && error.stage === 'domain',
      );
    });
  }

  it('no label is made when none is asked for and there is no security model', () => {
    assert.deepEqual(securityLabels({ ...none, security: { mode: 'dynamic', label: undefined } }), []);
  });
});
