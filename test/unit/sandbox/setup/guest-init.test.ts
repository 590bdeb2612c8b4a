/** Errors that a common init in the guest reports. The guest may be hostile. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { GuestConfig } from '../../../../init/common/config.js';
import { OperationError } from '../../../../src/protocol/operations.js';
import { remoteError } from '../../../../src/sandbox/setup/guest-init.js';
import { Console } from '../../../../src/sandbox/start/console.js';
import { SandboxError } from '../../../../src/util/errors.js';

const GUEST = {
  command: ['true'],
  identity: { home: '/' },
  mounts: [],
  root: { type: 'ram' },
} as unknown as GuestConfig;

function reported(failure: object): SandboxError {
  const error = remoteError(new OperationError('configure', 0, JSON.stringify(failure)), new Console(), GUEST);
  assert.ok(error instanceof SandboxError);
  return error;
}

it('has the code of a network that cannot be set up, and the advice of the launcher', () => {
  const network = { code: 'dhcp-refused', remedy: 'run this program' };
  const { code, message, remedy } = reported({ operation: 'configure', message: 'no lease', network });
  assert.deepEqual([code, message], ['dhcp-refused', 'no lease']);
  assert.match(remedy, /^look into the server's log/);
});

it('has no code of an error that the launcher acts on', () => {
  // For this one a launcher of root's starts again, with disks that are not a user's own.
  const network = { code: 'disks-not-owned', remedy: 'a' };
  assert.equal(reported({ step: 'disks', operation: 'chown', message: 'm', network }).code, 'init-step-failed');
  assert.equal(reported({ operation: 'spawn', message: 'm', network }).code, 'spawn-failed');
  assert.equal(reported({ operation: 'spawn', message: 'm', network: { code: 'toString' } }).code, 'spawn-failed');
});
