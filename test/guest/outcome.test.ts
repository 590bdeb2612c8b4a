/** The output and the exit status of a command, over every way to libvirt. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { embedded, lxc, system } from '../helpers/connections.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailureWith, assertRun, runSandbox } from '../helpers/run.js';

/** stdout, stderr and the exit status, each through its own channel. */
const SPEAK = ['sh', '-c', 'echo to stdout; echo to stderr >&2; exit 7'];

for (const way of [embedded, system, lxc]) {
  describe(`${way.uri} as root`, { skip: way.skip, concurrency: 2 }, () => {
    it('passes on stdout, stderr and the exit status, and leaves nothing', async () => {
      const name = uniqueName();
      const result = await runSandbox(['-c', way.uri, '-n', name, '--', ...SPEAK], way.options);
      assertRun(result, 7, 'to stdout\n', 'to stderr\n');
      await assertNothingLeft(name, way.where);
    });
  });
}

it('an empty PATH does not hinder libvirt', { skip: embedded.skip }, async () => {
  const options = { through: [process.execPath], env: { PATH: '' } };
  assertRun(await runSandbox(['-c', embedded.uri, '--', '/bin/true'], options), 0, '');
});

describe('an ordinary user', { skip: unlessOrdinaryUser(), concurrency: 2 }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  it('has qemu:///embed', async () => {
    const name = uniqueName();
    const result = await runSandbox(['-c', 'qemu:///embed', '-n', name, '--', ...SPEAK], user.options);
    assertRun(result, 7, 'to stdout\n', 'to stderr\n');
    await assertNothingLeft(name, user.where);
  });

  it('has qemu:///session, and is the same user inside, with the same groups and no capability', async () => {
    const name = uniqueName();
    const questions = 'id -u; id -g; id -G; echo $USER $LOGNAME $HOME; pwd; grep ^Cap /proc/self/status';
    const script = `${questions}; echo to stderr >&2; exit 7`;
    const args = ['-c', 'qemu:///session', '-n', name, '--', 'sh', '-c', script];
    const { code, out, stderr } = await runSandbox(args, user.options);
    const none = ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].map((set) => `Cap${set}:\t0000000000000000`);
    // The home is below /tmp, which is a fresh directory inside.
    const expected = [...[user.uid, user.gid, `${user.gid} ${user.group}`, `nobody nobody ${user.home}`, '/', ...none]];
    assert.deepEqual(
      { code, lines: out.trimEnd().split('\n'), stderr },
      { code: 7, lines: expected.map(String), stderr: 'to stderr\n' },
    );
    await assertNothingLeft(name, user.where);
  });
});

for (const way of [embedded, lxc])
  describe(`exit status over ${way.uri}`, { skip: way.skip, concurrency: 2 }, () => {
    const run = (...command: string[]) => runSandbox(['-c', way.uri, '--', ...command], way.options);

    it('255', async () => assertRun(await run('sh', '-c', 'exit 255'), 255, ''));
    it('137 for death by SIGKILL', async () => assertRun(await run('sh', '-c', 'kill -KILL $$'), 137, ''));
    it('139 for death by SIGSEGV', async () => assertRun(await run('sh', '-c', 'kill -SEGV $$'), 139, ''));
    it('143 for death by SIGTERM from inside', async () => assertRun(await run('sh', '-c', 'kill $$'), 143, ''));

    it('0 for a command with as many arguments as Linux takes', async () => {
      const words = Array.from({ length: 100_000 }, (_, index) => String(index));
      assertRun(await run('sh', '-c', 'echo $#', 'sh', ...words), 0, '100000\n');
    });

    it('0 for a command whose arguments are not UTF-8', async () => {
      // Node cannot pass such arguments, so a shell does.
      const start = ['sh', '-c', `exec "$@" "$(printf 'a\\377')"`, 'sh'];
      const through = [...(way.options.through ?? []), ...start];
      const result = await runSandbox(['-c', way.uri, '--', 'printf', '%s'], { ...way.options, through });
      assert.deepEqual([result.code, result.stdout], [0, Buffer.from('a\xff', 'latin1')], result.stderr);
    });

    it('127 for a command that does not exist', async () => {
      assertFailureWith(127, await run('/no/such/command'), /\/no\/such\/command: not found inside the sandbox/);
    });

    it('127 and 126 for a file below the working directory, with a message', async () => {
      const below = (command: string) => runSandbox(['-c', way.uri, '--cwd', '/etc', '--', command], way.options);
      const remedy = 'name it by its whole path, .* the working directory inside \\(/etc\\)$';
      assertFailureWith(127, await below('./no'), new RegExp(`\\./no: not found inside the sandbox; ${remedy}`, 'm'));
      assertFailureWith(
        126,
        await below('./passwd'),
        new RegExp(`\\./passwd: cannot be started: .*, and ${remedy}`, 'm'),
      );
    });

    it('127 for a name that is not in PATH', async () => {
      assertFailureWith(127, await run('no-such-command-anywhere'), /no-such-command-anywhere: not found/);
    });

    it('126 for a file that is not executable', async () => {
      assertFailureWith(126, await run('/etc/passwd'), /\/etc\/passwd: cannot be started: .*Permission denied/);
    });

    it('126 for a directory', async () => {
      assertFailureWith(126, await run('/etc'), /\/etc: cannot be started/);
    });
  });
