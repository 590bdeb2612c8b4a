/** A libvirtd that is killed while a sandbox runs: the application's status is returned, and nothing runs on. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { unlessServingKernel } from '../helpers/kernels.js';
import { uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { PrivateLibvirt, unlessPrivateLibvirt } from '../helpers/private-libvirt.js';
import { type RunOptions, type RunResult, runSandbox, startSandbox } from '../helpers/run.js';

/** Runs a program that ends with 7 after `kill` has ended the daemon. */
async function runWithout(uri: string, name: string, options: RunOptions, kill: () => unknown): Promise<RunResult> {
  const script = 'echo running; read line; exit 7';
  const running = startSandbox(['-c', uri, '-n', name, '--', 'sh', '-c', script], { ...options, input: 'open' });
  await running.until(/running/);
  await kill();
  running.child.stdin?.end('go on\n');
  return running.result;
}

function assertStatusAndWarning({ code, out, stderr }: RunResult, name: string): void {
  assert.deepEqual({ code, out }, { code: 7, out: 'running\n' }, stderr);
  assert.match(stderr, new RegExp(`^virt-sandbox: warning: .*domain ${name} .*; .*daemon`, 'm'));
}

/** Command lines that name the sandbox. */
function processesOf(name: string): string {
  return spawnSync('pgrep', ['-fa', name], { encoding: 'utf8' }).stdout;
}

describe('a libvirtd that is killed in mid-run', { skip: embedded.skip || unlessServingKernel }, () => {
  for (const uri of ['qemu:///system', 'lxc:///']) {
    it(`loses no status: ${uri}`, { skip: unlessPrivateLibvirt() }, async () => {
      const lab = await PrivateLibvirt.start();
      try {
        const name = uniqueName();
        const result = await runWithout(uri, name, { through: lab.through }, () => lab.killDaemon());
        assertStatusAndWarning(result, name);
        assert.equal(processesOf(name), '');
        assert.ok(!existsSync(`/run/libvirt-sandbox/${name}`));
      } finally {
        await lab.end();
      }
    });
  }

  it('loses no status: qemu:///session, and the next run works', { skip: unlessOrdinaryUser() }, async () => {
    const user = await OrdinaryUser.create();
    try {
      const name = uniqueName();
      const pidFile = join(user.home, 'run/libvirt/libvirtd.pid');
      const kill = () => process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
      assertStatusAndWarning(await runWithout('qemu:///session', name, user.options, kill), name);
      assert.equal(processesOf(name), '');
      const next = await runSandbox(['-c', 'qemu:///session', '-n', name, '--', 'true'], user.options);
      assert.equal(next.code, 0, next.stderr);
    } finally {
      await user.end();
    }
  });
});
