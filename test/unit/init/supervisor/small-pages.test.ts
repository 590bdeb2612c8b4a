/** What the supervisor starts may be kept from transparent huge pages. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Supervisor } from '../../../../src/libvirt/supervisor.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const THP = /^THP_enabled:\t([01])$/m;
// Older kernels do not say: proc_pid_status(5).
const usual = THP.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];

for (const smallPages of [true, false]) {
  const skip = usual === undefined && 'this kernel does not say which processes have huge pages';
  test(`a command, and what it starts, ${smallPages ? 'get none' : 'get some as usual'}`, { skip }, async (t) => {
    const scratch = scratchDirectory(t);
    const [directory, file] = [join(scratch, 'state'), join(scratch, 'status')];
    mkdirSync(directory);
    const command = ['sh', '-c', `sh -c "cat /proc/self/status >${file}"; exit`];
    const supervisor = await Supervisor.start({ directory, command, smallPages });
    t.after(() => supervisor.finish());
    await supervisor.commandExited;
    assert.equal(THP.exec(readFileSync(file, 'utf8'))?.[1], smallPages ? '0' : usual);
  });
}
