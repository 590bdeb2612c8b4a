/** Finds the counters of one machine among those of others, in directories that look like KVM's. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ExitReader, whyMissing } from '../../../../src/bench/run/exit-reader.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const TOKEN = '/scratch/qemu.log';

function host(t: TestContext) {
  const scratch = scratchDirectory(t);
  const [directory, processes] = [join(scratch, 'kvm'), join(scratch, 'proc')];
  mkdirSync(directory);
  const count = (name: string, exits: number, io: number) => {
    writeFileSync(join(directory, name, 'exits'), `${exits}\n`);
    writeFileSync(join(directory, name, 'io_exits'), `${io}\n`);
  };
  return {
    directory,
    count,
    machine(name: string, argument: string) {
      const pid = name.replace(/-.*/, '');
      mkdirSync(join(processes, pid), { recursive: true });
      writeFileSync(join(processes, pid, 'cmdline'), `qemu\0-D\0${argument}\0`);
      mkdirSync(join(directory, name));
      count(name, 0, 0);
    },
    read: (often: boolean) => new ExitReader({ token: TOKEN, often, directory, processes }),
  };
}

/** Until the reader has looked again. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

describe('the reader of exits', () => {
  it('reads the machine that has the token, to its end, and no other', async (t) => {
    const { directory, machine, count, read } = host(t);
    machine('10-9', TOKEN);
    const reader = read(true);
    machine('20-9', '/another/qemu.log');
    machine('21-9', TOKEN);
    count('20-9', 70, 70);
    await until(() => reader.found);
    count('21-9', 500, 400);
    const told = reader.stop();
    assert.ok('readings' in told);
    assert.deepEqual(told.readings.at(-1)?.exits, { exits: 500, io_exits: 400 });
    const times = told.readings.map(({ time }) => time);
    assert.deepEqual(times, times.toSorted());
    // Nothing looks any more.
    rmSync(directory, { recursive: true });
  });

  it('says why there is nothing to read', (t) => {
    const { directory, read } = host(t);
    assert.deepEqual(read(false).stop(), { missing: 'no machine under KVM was seen' });
    assert.match(whyMissing(join(directory, 'none')) ?? '', /none is not there \(mount -t debugfs debugfs/);
    const file = join(directory, 'file');
    writeFileSync(file, '');
    assert.match(whyMissing(file) ?? '', /file cannot be read: .*ENOTDIR/);
    assert.equal(whyMissing(directory), undefined);
  });
});
