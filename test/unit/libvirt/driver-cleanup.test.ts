/** What libvirt has to take back of a domain over the embedded driver, by the XML that this program writes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownerLabel } from '../../../src/domain/security.js';
import { type Element, EMPTY, toXml } from '../../../src/domain/xml.js';
import { cleanupOf } from '../../../src/libvirt/driver-cleanup.js';

const USER = { uid: 2_013_265_921, gid: 993 };
const OWN = ownerLabel(USER, false);
const SHARED = ownerLabel(USER, true);
const DYNAMIC: Element = { '@type': 'dynamic', '@model': 'selinux', '@relabel': 'yes' };
const INTERFACE: Element = { interface: { '@type': 'network', source: { '@network': 'default' } } };
const HUGE: Element = { memoryBacking: { hugepages: EMPTY } };
/** A name that says what labels do is no label. */
const NAMED: Element = { name: 'model="dac" relabel="no"' };

const [NOTHING, ALL, NO_OWNERS] = [
  { owners: false, any: false },
  { owners: true, any: true },
  { owners: false, any: true },
];

for (const [what, domain, model, isRoot, expected] of [
  ["a QEMU of root's with a user of its own", { seclabel: OWN }, undefined, true, NOTHING],
  ["root's files are given to libvirt's user", {}, undefined, true, ALL],
  ['so they are where only a name looks like a label', NAMED, undefined, true, ALL],
  ['disks that sandboxes share a user for', { seclabel: SHARED }, undefined, true, ALL],
  ['a label of SELinux', { seclabel: [OWN, DYNAMIC] }, 'selinux', true, ALL],
  ['SELinux labels what bakes, without a word in the XML', { seclabel: OWN }, 'selinux', true, ALL],
  ['so does AppArmor', { seclabel: OWN }, 'apparmor', true, ALL],
  ['an ordinary user', {}, undefined, false, NOTHING],
  ['an ordinary user where SELinux is', {}, 'selinux', false, ALL],
  ['a network', { seclabel: OWN, devices: INTERFACE }, undefined, true, NO_OWNERS],
  ['huge pages', { seclabel: OWN, ...HUGE }, undefined, true, NO_OWNERS],
] as const) {
  test(what, () => {
    assert.deepEqual(cleanupOf(toXml({ domain }), model, isRoot), expected);
  });
}
