/** LIBVIRT_SANDBOX_STRACE: the application runs under strace and behaves as without it. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { IDLE } from '../helpers/programs.js';
import { AtTerminal } from '../helpers/pty.js';
import { assertFailure, assertFailureWith, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const traced = (expression = '1') => ({ LIBVIRT_SANDBOX_STRACE: expression });

describe('an application under strace', { skip: embedded.skip, concurrency: 2 }, () => {
  it('writes to stdout, the trace to stderr, keeps its status, and its children are traced', async () => {
    const script = 'echo out; sh -c "echo child; exit 3"; cat /proc/$$/stat | cut -d" " -f4; exit 9';
    const { code, out, stderr } = await runSandbox(['-c', embedded.uri, '-S', 'nobody', '--', 'sh', '-c', script], {
      env: traced(),
    });
    assert.deepEqual({ code, out }, { code: 9, out: 'out\nchild\n1\n' }, 'its parent is the init');
    assert.match(stderr, /^execve\("\/[a-z/]*bin\/sh", \["sh", "-c", /m);
    assert.match(stderr, /write\(1, "out\\n", 4\) += 4/);
    assert.match(stderr, /^\[pid +\d+\] write\(1, "child\\n", 6/m);
    assert.match(stderr, /^\+\+\+ exited with 9 \+\+\+$/m);
  });

  it('is traced for the system calls of an expression', async () => {
    const { code, stderr } = await runSandbox(['-c', embedded.uri, '--', 'sh', '-c', 'cd /usr; : </etc/hostname'], {
      env: traced('trace=chdir,openat'),
    });
    assert.equal(code, 0);
    assert.match(stderr, /^chdir\("\/usr"\) += 0$/m);
    assert.match(stderr, /^openat\(AT_FDCWD, "\/etc\/hostname"/m);
    assert.doesNotMatch(stderr, /mmap|execve|write/);
  });

  it('gets the signals itself', async () => {
    const script = `for s in INT USR1 TERM; do trap "echo got $s" $s; done; echo running; ${IDLE}`;
    const name = uniqueName();
    const running = startSandbox(['-c', embedded.uri, '-n', name, '--', 'sh', '-c', script], {
      input: 'open',
      env: traced('trace=kill'),
    });
    await running.until(/running/);
    for (const signal of ['USR1', 'INT', 'USR1']) {
      process.kill(running.pid, `SIG${signal}`);
      await running.until(new RegExp(`got ${signal}\\n$`));
    }
    process.kill(running.pid, 'SIGTERM');
    const { code, out } = await running.result;
    assert.equal(code, 143);
    assert.match(out, /got TERM/);
    await assertNothingLeft(name);
    const died = await runSandbox(['-c', embedded.uri, '--', 'sh', '-c', 'kill -9 $$'], { env: traced('none') });
    assert.equal(died.code, 137);
  });

  it('has the terminal to itself: the trace goes to a file', async (t) => {
    const directory = scratchDirectory(t);
    const name = uniqueName();
    const command = ['sh', '-c', 'tty; stty size; echo all </dev/tty; exit 4'];
    const terminal = new AtTerminal(
      ['-c', embedded.uri, '-n', name, '--', ...command],
      { rows: 20, columns: 70 },
      { through: ['env', '-C', directory], env: traced() },
    );
    t.after(() => terminal.close());
    await terminal.until(new RegExp(`the trace goes to \\./${name}\\.strace\\r?\\n`));
    await terminal.until(/\/dev\/pts\/\d+\r?\n20 70\r?\nall\r?\n/);
    assert.deepEqual(await terminal.exited(), { code: 4, signal: null });
    assert.doesNotMatch(terminal.text, /execve|mmap/);
    const trace = readFileSync(join(directory, `${name}.strace`), 'utf8');
    assert.match(trace, /write\(1, "all\\n", 4\)/);
    assert.match(trace, /\+\+\+ exited with 4 \+\+\+\n$/);
  });

  it('has clear errors: no strace in the root, no such program, a file that is not executable', async () => {
    const run = (...args: string[]) => runSandbox(['-c', embedded.uri, ...args], { env: traced() });
    assertFailure(
      await run('-e', 'PATH=/usr/share', '/bin/true'),
      /no strace in the PATH of the sandbox/,
      /install strace/,
    );
    assertFailureWith(127, await run('no-such-program'), /no-such-program: not found inside the sandbox/);
    assertFailureWith(126, await run('/etc/passwd'), /\/etc\/passwd: cannot be executed/);
  });
});
