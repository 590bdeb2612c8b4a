/** A program that imports the package reads the names that it gives options, and nobody else does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forCaller, option, shortOption } from '../../../src/util/option-names.js';

/** In this order: what the entry point of the package chooses stays chosen. */
test('options are named as on the command line, until the package is imported', async () => {
  assert.deepEqual(
    [option('bootTimeout'), option('acceleration', 'tcg'), shortOption('connect'), option('tuning.hugePages')],
    ['--boot-timeout', '--accel tcg', '-c', '--huge-pages'],
  );
  assert.equal(forCaller({ commandLine: 'c', program: 'p' }), 'c');
  const { Sandbox, run } = await import('../../../src/index.js');
  assert.deepEqual(
    [option('bootTimeout'), option('acceleration', 'tcg'), shortOption('connect'), option('tuning.hugePages')],
    ['bootTimeout', "acceleration: 'tcg'", 'connect', 'tuning.hugePages'],
  );
  assert.equal(forCaller({ commandLine: 'c', program: 'p' }), 'p');

  const command = ['true'];
  for (const [start, line] of [
    [() => Sandbox.create({ requireKvm: true, acceleration: 'tcg' }), /leave out requireKvm or acceleration: 'tcg'$/],
    [() => Sandbox.create({ memory: '1X' as '1G' }), /^arguments: memory cannot be "1X"/],
    [
      () => Sandbox.create({ tuning: { memorySwapLimit: '1G' } }),
      /tuning\.memorySwapLimit is for .*add tuning\.memoryLimit/,
    ],
    [() => Sandbox.create({ tuning: { ioThreads: 1 } }), /tuning\.ioThreads serve disks/],
    [() => Sandbox.start({ command: [] }), /name a program: command: \['\/bin\/date'\]$/],
    [() => run(command, { tuning: { cpuPeriod: 1000 } }), /add tuning\.cpuQuota/],
    [() => run(command, { connect: 'qemu:///nothing' }), /^(?!.* -c\b)/],
    [() => run(command, { timeout: '5' as '5s' }), /^arguments: timeout cannot be "5"/],
  ] as const) {
    await assert.rejects(start, (error: { readonly line: string }) => {
      assert.match(error.line, line);
      assert.doesNotMatch(error.line, /(^|[ (])--?[a-z]/);
      return true;
    });
  }
});
