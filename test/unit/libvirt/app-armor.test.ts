/** What AppArmor confines: a daemon of a user's session, as it shows in /proc. */

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sessionProfiles } from '../../../src/libvirt/app-armor.js';
import { scratchDirectory } from '../../helpers/scratch.js';

describe("the AppArmor profile of a session's daemon", () => {
  it('is that of the process in the PID file', (t) => {
    const directory = scratchDirectory(t);
    const write = (path: string, text: string) => {
      mkdirSync(join(directory, path, '..'), { recursive: true });
      writeFileSync(join(directory, path), text);
    };
    const profiles = () => sessionProfiles(join(directory, 'run'), join(directory, 'proc'));
    assert.equal(profiles(), '');
    write('run/libvirt/libvirtd.pid', '12\n');
    // As without AppArmor, where the file cannot be read.
    assert.equal(profiles(), '');
    write('proc/12/attr/current', 'libvirtd (enforce)\n');
    assert.equal(profiles(), 'libvirtd (enforce)\n');
    // Where SELinux or Smack has the older place.
    write('proc/12/attr/apparmor/current', 'virtqemud (enforce)\n');
    assert.equal(profiles(), 'virtqemud (enforce)\n');
  });
});
