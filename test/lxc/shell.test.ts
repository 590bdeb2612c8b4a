/** Root shells beside an application in a container, and breakpoints. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { AtTerminal } from '../helpers/pty.js';
import { assertFailure, runSandbox, startSandbox } from '../helpers/run.js';

const SIZE = { rows: 33, columns: 101 };
const PLAIN = { ...lxc.options, env: { TERM: 'dumb' } };
const CTRL_RIGHT_BRACKET = '\x1d';

async function startWithShell(t: TestContext) {
  const name = uniqueName();
  const command = ['sh', '-c', 'echo running; exec cat'];
  const args = ['-c', lxc.uri, '-n', name, '-S', 'nobody', '--shell', '--', ...command];
  const running = startSandbox(args, { ...lxc.options, input: 'open' });
  t.after(async () => {
    running.child.kill('SIGTERM');
    await running.result.catch(() => {});
  });
  await running.until(/running/);
  return { name, running };
}

describe('a shell beside the application in a container', { skip: lxc.skip, concurrency: 2 }, () => {
  it('is one that a user can work in, leave and return to', async (t) => {
    const { name, running } = await startWithShell(t);
    const prompt = new RegExp(`\\[${name}\\] / # $`);
    for (const visit of ['first', 'second']) {
      const terminal = new AtTerminal(['--attach', name], SIZE, PLAIN);
      t.after(() => terminal.close());
      const settings = terminal.before;
      await terminal.until(prompt);
      terminal.type(`echo ${visit} $(id -u) $(stty size) $(ps -eo user,args | grep -c '^nobody .*cat$')\n`);
      await terminal.until(new RegExp(`\\n${visit} 0 33 101 1\\r?\\n`));
      await terminal.until(prompt);
      terminal.type(CTRL_RIGHT_BRACKET);
      assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
      assert.equal(terminal.settings(), settings);
    }
    running.child.stdin?.end();
    assert.equal((await running.result).code, 0);
    await assertNothingLeft(name, lxc.where);
  });

  it('runs a command, and returns its status and every byte of its streams', async (t) => {
    const { name } = await startWithShell(t);
    const attach = ['--attach', name, '--'];
    const spoken = await runSandbox([...attach, 'sh', '-c', 'echo out; echo err >&2; exit 7'], lxc.options);
    assert.deepEqual([spoken.code, spoken.out, spoken.stderr], [7, 'out\n', 'err\n']);
    const data = randomBytes(3 << 20);
    const { stdout } = await runSandbox([...attach, 'cat'], { ...lxc.options, input: data });
    const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    assert.equal(hash(stdout), hash(data));
  });

  it('serves the next client after one was killed', async (t) => {
    const { name } = await startWithShell(t);
    const first = startSandbox(['--attach', name, '--', 'sh', '-c', 'echo attached; exec sleep 1000'], lxc.options);
    await first.until(/attached/);
    process.kill(first.pid, 'SIGKILL');
    await first.result;
    const second = await runSandbox(['--attach', name, '--', 'echo', 'again'], lxc.options);
    assert.deepEqual([second.code, second.out], [0, 'again\n'], second.stderr);
  });

  it('is absent without --shell', async () => {
    const name = uniqueName();
    const running = startSandbox(
      ['-c', lxc.uri, '-n', name, '--', 'sh', '-c', 'ls /dev/tty3; echo running; exec sleep 1000'],
      {
        ...lxc.options,
        input: 'open',
      },
    );
    await running.until(/running/);
    assertFailure(await runSandbox(['--attach', name], lxc.options), /without a shell/, /--shell/);
    process.kill(running.pid, 'SIGTERM');
    assert.match((await running.result).stderr, /\/dev\/tty3.*No such file/);
  });
});

describe('a breakpoint in a container', { skip: lxc.skip, concurrency: 2 }, () => {
  const stopBefore = (step: string) => ({ ...lxc.options, env: { LIBVIRT_SANDBOX_INIT_DEBUG: `break:${step}` } });

  it('offers a shell, and continues when that exits with 0', async (t) => {
    const name = uniqueName();
    const args = ['-c', lxc.uri, '-n', name, '-m', 'ram:/mnt=1M', '--', 'sh', '-c', 'stat -f -c %T /mnt'];
    const running = startSandbox(args, stopBefore('mount.0'));
    t.after(async () => {
      running.child.kill('SIGTERM');
      await running.result.catch(() => {});
    });
    await running.untilError(new RegExp(`attach with: virt-sandbox --attach ${name}\n`));
    const look = ['sh', '-c', "grep -c ' /mnt ' /proc/mounts; true"];
    const attached = await runSandbox(['--attach', name, '--', ...look], lxc.options);
    assert.deepEqual([attached.code, attached.out], [0, '0\n'], attached.stderr);
    const { code, out } = await running.result;
    assert.deepEqual({ code, out }, { code: 0, out: 'tmpfs\n' });
    await assertNothingLeft(name, lxc.where);
  });

  it('is refused before there is a root, with the reason', async () => {
    const result = await runSandbox(['-c', lxc.uri, '--', 'true'], stopBefore('root'));
    assertFailure(result, /before its root/, /later step/);
  });
});
