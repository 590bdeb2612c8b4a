/** QEMU's user, read from libvirt's capabilities. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownerInCapabilities } from '../../../src/domain/security.js';

const capabilities = (labels: string) => `<capabilities><host>
  <secmodel><model>none</model><doi>0</doi></secmodel>
  <secmodel><model>dac</model><doi>0</doi>${labels}</secmodel>
</host></capabilities>`;

test("QEMU's user is the base label of its kind of machine", () => {
  const xml = capabilities("<baselabel type='kvm'>+36:+36</baselabel><baselabel type='qemu'>+64055:+993</baselabel>");
  assert.equal(ownerInCapabilities(xml, 'tcg'), 64055);
  assert.equal(ownerInCapabilities(xml, 'kvm'), 36);
});

test('capabilities without such a label name no user', () => {
  assert.equal(ownerInCapabilities(capabilities(''), 'tcg'), undefined);
  assert.equal(
    ownerInCapabilities("<secmodel><model>selinux</model><baselabel type='qemu'>+1:+1</baselabel></secmodel>", 'tcg'),
    undefined,
  );
  assert.equal(ownerInCapabilities(undefined, 'tcg'), undefined);
});
