/** virt-sandbox --pool is a bundle of its own, and every other command line has the whole program. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runSandbox } from '../../helpers/run.js';

describe('the bundle for --pool', () => {
  it('runs with --pool', async () => {
    for (const words of [['--pool', 'no such pool'], ['--pool=no such pool'], ['-v', '--pool', 'no such pool']]) {
      const { code, stderr } = await runSandbox([...words, '--', 'true']);
      assert.equal(code, 125);
      assert.match(stderr, /^virt-sandbox: application: there is no pool called "no such pool"; /);
    }
  });

  it('leaves other command lines to the whole program', async () => {
    const version = await runSandbox(['--version', '--pool', 'x']);
    assert.deepEqual([version.code, version.out.split(' ', 2)], [0, ['virt-sandbox', 'version']]);
    const word = await runSandbox(['--json', '--', 'true', '--pool', 'x']);
    assert.deepEqual([word.code, word.stderr.includes('--json goes with --dry-run')], [125, true]);
    const missing = await runSandbox(['--pool']);
    assert.match(missing.stderr, /^virt-sandbox: arguments: --pool has no value; /);
  });
});
