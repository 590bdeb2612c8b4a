/** The SELinux labels of services. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { clonedSecurity, serviceSecurity } from '../../../src/service/label.js';

const TYPE = 'system_u:system_r:svirt_lxc_net_t';

describe('serviceSecurity', () => {
  for (const label of [TYPE, `${TYPE}:s0`])
    it(`gives ${label} two categories that no other service has`, () => {
      const taken = new Set<string>();
      for (let count = 0; count < 2000; count += 1) {
        const { mode, label: found = '' } = serviceSecurity({ mode: 'static', label }, randomUUID(), taken);
        const [, low, high] = new RegExp(`^${TYPE}:s0:c(\\d+),c(\\d+)$`).exec(found) ?? [];
        assert.equal(mode, 'static');
        assert.ok(Number(low) < Number(high) && Number(high) < 1024, found);
        taken.add(found);
      }
      assert.equal(taken.size, 2000);
    });

  it('gives no categories that a service of another type has', () => {
    const uuid = randomUUID();
    const { label = '' } = serviceSecurity({ mode: 'static', label: TYPE }, uuid);
    const other = label.replace('svirt_lxc_net_t', 'svirt_t');
    assert.notEqual(serviceSecurity({ mode: 'static', label: TYPE }, uuid, new Set([other])).label, label);
  });

  for (const security of [
    { mode: 'static', label: `${TYPE}:s0:c1,c2` },
    { mode: 'static', label: `${TYPE}:s0-s0:c0.c1023` },
    { mode: 'static', label: 'libvirt-profile' },
    { mode: 'static', label: undefined },
    { mode: 'dynamic', label: TYPE },
    { mode: 'inherit', label: undefined },
  ] as const)
    it(`leaves ${security.mode}, ${security.label} as it is`, () => {
      assert.deepEqual(serviceSecurity(security, randomUUID()), security);
    });
});

describe('clonedSecurity', () => {
  it('gives a clone other categories than its source', () => {
    const source = serviceSecurity({ mode: 'static', label: TYPE }, randomUUID());
    const { mode, label = '' } = clonedSecurity(source, randomUUID(), new Set([source.label ?? '']));
    assert.equal(mode, 'static');
    assert.match(label, new RegExp(`^${TYPE}:s0:c\\d+,c\\d+$`));
    assert.notEqual(label, source.label);
  });

  for (const security of [
    { mode: 'dynamic', label: undefined },
    { mode: 'static', label: `${TYPE}:s0-s0:c0.c1023` },
    { mode: 'static', label: 'libvirt-profile' },
  ] as const)
    it(`leaves ${security.mode}, ${security.label} as it is`, () => {
      assert.deepEqual(clonedSecurity(security, randomUUID()), security);
    });
});
