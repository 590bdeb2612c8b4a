/** Root shells beside an application: `--shell`, and `--attach` from another terminal. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { embedded, system } from '../helpers/connections.js';
import { assertNothingLeft } from '../helpers/leftovers.js';
import { assertFailure, assertFailureWith, runSandbox, startSandbox } from '../helpers/run.js';
import { assertFollowsSize, attach, startWithShell } from '../helpers/shells.js';

const CTRL_C = '\x03';
const CTRL_Z = '\x1a';
const CTRL_RIGHT_BRACKET = '\x1d';

for (const way of [embedded, system]) {
  describe(`a shell beside the application over ${way.uri}`, { skip: way.skip }, () => {
    it('is one that a user can work in, leave and return to, and it ends with the application', async (t) => {
      const { name, running } = await startWithShell(t, way.uri, '-S', 'nobody', '--shell');
      assert.match(running.stderr(), new RegExp(`virt-sandbox --attach ${name}\n`), 'the launcher says how');

      const { terminal, settings, prompt, ask } = await attach(t, name);
      assert.match(terminal.text, /root shell of the sandbox .*Ctrl\+\] detaches/);
      assert.equal(await ask('id -u; id -g; pwd; echo $TERM $VIRT_SANDBOX'), `0\n0\n/\ndumb ${name}`);
      assert.match(await ask('tty'), /^\/dev\/pts\/\d+$/);
      assert.match(await ask('ps -eo user,args'), /^nobody +cat$/m, 'the application is seen');
      assert.match(await ask('grep CapEff /proc/self/status'), /\t0{5}1ffffffffff$/);
      assert.match(await ask('mount -t tmpfs none /mnt && echo mounted'), /^mounted$/);

      assert.equal(await ask('stty size'), '33 101');
      await assertFollowsSize(terminal, ask);

      // The command prints this when it runs; by then the keys are its own.
      terminal.type(`sh -c 'echo WAIT""ING; exec sleep 1000'\n`);
      await terminal.until(/WAITING/);
      terminal.type(CTRL_C);
      await terminal.until(prompt);
      terminal.type(`sh -c 'echo WAIT""ING; exec sleep 999'\n`);
      await terminal.until(/WAITING/);
      terminal.type(CTRL_Z);
      await terminal.until(prompt);
      assert.match(await ask('jobs'), /Stopped.*sleep 999/);
      assert.equal(running.out(), 'running\n', 'nothing of it reaches the application');

      // A second client is refused at once.
      assertFailure(await runSandbox(['--attach', name]), /another session is attached to the sandbox/);

      terminal.type(CTRL_RIGHT_BRACKET);
      assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
      await terminal.until(/detached from /);
      assert.equal(terminal.settings(), settings, 'the local terminal is as it was');

      const again = await attach(t, name);
      assert.doesNotMatch(await again.ask('ps -eo args'), /sleep 999/, 'a shell that was left loses its jobs');
      again.terminal.type('exit 42\n');
      assert.deepEqual(await again.terminal.exited(), { code: 42, signal: null });

      const last = await attach(t, name);
      process.kill(running.pid, 'SIGTERM');
      const { code } = await running.result;
      assert.equal(code, 143);
      await last.terminal.until(new RegExp(`the sandbox ${name} ended`));
      assert.deepEqual(await last.terminal.exited(), { code: 125, signal: null });
      await assertNothingLeft(name, way.where);
    });
  });
}

describe('--attach without a terminal', { skip: embedded.skip, concurrency: 2 }, () => {
  it('runs a command as root, or its stdin as a script, and returns its status', async (t) => {
    const { name } = await startWithShell(t, embedded.uri, '-S', 'nobody', '-l');
    const { code, out, stderr } = await runSandbox([
      '--attach',
      name,
      '--',
      'sh',
      '-c',
      'id -u; echo told >&2; exit 7',
    ]);
    assert.deepEqual({ code, out, stderr }, { code: 7, out: '0\n', stderr: 'told\n' });
    const script = await runSandbox(['--attach', name], { input: 'id -un; cat /proc/1/comm; kill -9 $$' });
    assert.deepEqual({ code: script.code, out: script.out }, { code: 137, out: 'root\ninit\n' });
    // Far more than the channel buffers, and no byte is lost.
    const large = await runSandbox(['--attach', name, '--', 'head', '-c', '8000000', '/dev/zero']);
    assert.equal(large.stdout.length, 8_000_000);
    assertFailureWith(
      127,
      await runSandbox(['--attach', name, '--', 'no-such-program']),
      /no-such-program cannot be started/,
    );
    const left = startSandbox(['--attach', name, '--', 'sh', '-c', 'echo there; exec sleep 1000'], { input: 'open' });
    await left.until(/there/);
    process.kill(left.pid, 'SIGKILL');
    await left.result;
    assert.equal((await runSandbox(['--attach', name, '--', 'echo', 'again'])).out, 'again\n');
  });

  it('lists the running sandboxes, and those without a shell', async (t) => {
    const { name } = await startWithShell(t, embedded.uri);
    assertFailure(
      await runSandbox(['--attach', 'no-such-one']),
      /no sandbox called "no-such-one" runs; /,
      new RegExp(name),
    );
    assertFailure(await runSandbox(['--attach', name]), /was started without a shell/, /--shell/);
    assertFailure(await runSandbox(['--attach', '../etc']), /no sandbox called/);
    assertFailure(await runSandbox(['--attach', '']), /no sandbox called/);
    const stranger = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
    assertFailure(await runSandbox(['--attach', name], { through: stranger }), /another user/);
  });
});
