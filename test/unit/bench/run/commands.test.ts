/** The connections through which virsh gives QEMU's command line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandLineUri } from '../../../../src/bench/run/commands.js';

test('the embedded driver gets a directory of its own, and others none', () => {
  assert.equal(commandLineUri('qemu:///embed', '/s'), 'qemu:///embed?root=/s/embed');
  assert.equal(commandLineUri('qemu:///system', '/s'), 'qemu:///system');
});
