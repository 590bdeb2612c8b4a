/** A mount of the host that is removed while a container starts: the container starts without it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { besideLxc, enterLxc, lxc } from '../helpers/connections.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { runSandbox } from '../helpers/run.js';

const shelf = mkdtempSync('/var/tmp/virt-sandbox-gone-');
/** Nearly always the first mount is gone before libvirt looks for it. */
const STARTS = 20;

after(() => rmSync(shelf, { recursive: true, force: true }));

/** Removes the mount when libvirt has begun to start the domain, which was told to bind it. */
function removeAtStart(t: TestContext, name: string, mount: string) {
  const log = `/var/log/libvirt/lxc/${name}.log`;
  const script = `while [ ! -e '${log}' ] && kill -0 ${process.pid}; do :; done; umount -l '${mount}' && rmdir '${mount}'`;
  const [program = '', ...words] = enterLxc;
  const remover = spawn(program, [...words, 'sh', '-c', script], { stdio: 'inherit' });
  t.after(() => remover.kill('SIGKILL'));
  return once(remover, 'exit');
}

describe('a mount of the host', { skip: lxc.skip }, () => {
  it('may go while a container starts, which starts again', async (t) => {
    for (let start = 0; start < STARTS; start++) {
      const name = uniqueName();
      const mount = join(shelf, name);
      mkdirSync(mount);
      besideLxc('mount', '-t', 'tmpfs', 'none', mount);
      const removed = removeAtStart(t, name, mount);
      const { code, out, stderr } = await runSandbox(
        ['-c', lxc.uri, '-n', name, '-v', '--', 'echo', 'once'],
        lxc.options,
      );
      assert.deepEqual([code, out], [0, 'once\n'], stderr);
      assert.deepEqual(await removed, [0, null]);
      await assertNothingLeft(name, lxc.where);
      if (stderr.includes(`virt-sandbox: mounts: started again, because libvirt does not find ${mount}, `)) return;
    }
    assert.fail(`of ${STARTS} starts none missed its mount`);
  });
});
