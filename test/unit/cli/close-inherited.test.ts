/** What the holder of a detached sandbox does not get from who starts it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';

describe('a process that outlives this one', () => {
  it('inherits the descriptors that the words name, and no others', () => {
    const module = new URL('../../../src/cli/hold/close-inherited.js', import.meta.url);
    const script = `
      const { closeInherited } = await import('${module}');
      const { spawnSync } = await import('node:child_process');
      await closeInherited(['--mount', 'bind:/a=/dev/fd/63', '@/proc/self/fd/21', '/fd/20']);
      spawnSync('sh', ['-c', 'for fd in 20 21 40 63; do [ -e /proc/self/fd/$fd ] && echo $fd; done'], { stdio: 'inherit' });`;
    const command = 'exec 20>/dev/null 21>/dev/null 40>/dev/null 63>/dev/null "$0" --input-type=module -e "$1"';
    assert.equal(execFileSync('bash', ['-c', command, process.execPath, script], { encoding: 'utf8' }), '21\n63\n');
  });
});
