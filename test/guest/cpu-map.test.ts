/** The embedded driver of a sandbox reads a small CPU map. Nobody else does, not even the sandbox. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { processesWith, uniqueName } from '../helpers/leftovers.js';
import { startSandbox } from '../helpers/run.js';

const MAP = '/usr/share/libvirt/cpu_map';

/** The mount of the map that a process finds, from proc_pid_mountinfo(5): its options. */
function mountOf(pid: string): string | undefined {
  const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n');
  return mounts.map((line) => line.split(' ')).find(([, , , , point]) => point === MAP)?.[5];
}

describe('the CPU map of a sandbox over the embedded driver', { skip: embedded.skip }, () => {
  it("is small for the driver, and libvirt's for the sandbox and the host", async () => {
    const name = uniqueName();
    const script = `ls ${MAP}; echo up; read line`;
    const args = ['-c', embedded.uri, ...ACCEL, '-n', name, '--', 'sh', '-c', script];
    const running = startSandbox(args, { input: 'open' });
    await running.until(/^up\n/m);
    const [driver = ''] = processesWith(name).filter((line) => /^\d+ \S*virt-qemu-run /.test(line));
    const pid = driver.split(' ')[0] ?? '';
    assert.match(mountOf(pid) ?? '', /^ro,/);
    assert.deepEqual(
      readdirSync(`/proc/${pid}/root${MAP}`).filter((file) => !/^x86_(vendors|features|486|qemu64)\.xml$/.test(file)),
      ['index.xml'],
    );
    assert.equal(mountOf('self'), undefined);
    running.child.stdin?.end('\n');
    const { out, stderr } = await running.result;
    assert.deepEqual(out.trimEnd().split('\n').sort(), [...readdirSync(MAP), 'up'].sort(), stderr);
  });
});
