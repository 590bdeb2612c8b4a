/** A mount of the host that is removed while a container starts: the container starts without it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { besideLxc, enterLxc, lxc } from '../helpers/connections.js';
import { uniqueName } from '../helpers/leftovers.js';
import { runSandbox } from '../helpers/run.js';

const shelf = mkdtempSync('/var/tmp/virt-sandbox-gone-');
/** Nearly always the mount is gone before libvirt looks for it. */
const STARTS = 5;

after(() => rmSync(shelf, { recursive: true, force: true }));

/** Removes the mount when libvirt has begun to start the domain, which was told to bind it. */
function removeAtStart(name: string, mount: string) {
  const log = `/var/log/libvirt/lxc/${name}.log`;
  const script = `while [ ! -e '${log}' ] && kill -0 ${process.pid}; do :; done; umount -l '${mount}' && rmdir '${mount}'`;
  const [program = '', ...words] = enterLxc;
  const remover = spawn(program, [...words, 'sh', '-c', script], { stdio: 'inherit' });
  return once(remover, 'exit');
}

describe('a mount of the host', { skip: lxc.skip }, () => {
  it('may go while a container starts, which starts again', async () => {
    let again = 0;
    for (let start = 0; start < STARTS && again === 0; start++) {
      const name = uniqueName();
      const mount = join(shelf, name);
      mkdirSync(mount);
      besideLxc('mount', '-t', 'tmpfs', 'none', mount);
      const removed = removeAtStart(name, mount);
      const result = await runSandbox(['-c', lxc.uri, '-n', name, '-v', '--', 'true'], lxc.options);
      assert.equal(result.code, 0, result.stderr);
      assert.deepEqual(await removed, [0, null]);
      again += result.stderr.match(/^virt-sandbox: mounts: started again, because /gm)?.length ?? 0;
    }
    assert.notEqual(again, 0);
  });

  it('is not gone because the command says so', async () => {
    const words = "Failure in libvirt_lxc startup: Failed to access '/a': No such file or directory";
    const { code, stderr } = await runSandbox(['-c', lxc.uri, '-v', '--', words], lxc.options);
    assert.equal(code, 127, stderr);
    assert.doesNotMatch(stderr, /started again/);
  });
});
