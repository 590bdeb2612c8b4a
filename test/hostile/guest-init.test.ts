/**
 * Promise: whatever a guest sends, the launcher ends as docs/security.md says: with the application's status or 125,
 * within 64 MiB of an idle one, with no control character in its messages, and nothing left.
 * The attacker is the init of a machine. The victim is the launcher, with libvirt and QEMU between them.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { ATTACKS, attack, type HostileGuest, makeHostileGuest } from '../helpers/hostile-guest.js';
import { unlessProgram } from '../helpers/images.js';

const skip = embedded.skip || unlessProgram('make', 'gcc');

describe('an init that attacks', { skip, concurrency: 4 }, () => {
  let guest: HostileGuest;

  before(async () => {
    guest = await makeHostileGuest(embedded.uri);
  });
  after(() => guest?.remove());

  for (const name of ATTACKS.keys()) {
    it(name, async () => {
      const seed = Math.floor(Math.random() * 1e9);
      assert.deepEqual(await attack(guest, embedded.uri, name, seed), [], `ATTACK=${name}:${seed}`);
    });
  }
});
