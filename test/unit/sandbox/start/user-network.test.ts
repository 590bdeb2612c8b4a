/** The processes of user networking: what happens when one cannot be started. */

import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { UserNetworkProcesses } from '../../../../src/sandbox/start/user-network.js';

test('a program that spawn() refuses at once fails the start', async () => {
  // Longer than the kernel takes: E2BIG, which spawn() throws.
  const processes = new UserNetworkProcesses(['/bin/true', 'x'.repeat(1 << 22)], 1);
  const socket = new Socket();
  processes.serve(socket);
  assert.ok(socket.destroyed);
  await assert.rejects(processes.failed, { code: 'network-failed' });
  await processes.end();
});
