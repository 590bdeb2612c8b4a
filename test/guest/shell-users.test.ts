/** Root shells of an ordinary user's sandboxes, attached by that user and by root. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertRun, runSandbox } from '../helpers/run.js';
import { attach, startNamed } from '../helpers/shells.js';

const URI = 'qemu:///session';

describe(`the shell of an ordinary user's sandbox over ${URI}`, { skip: unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user?.end());

  it('accepts that user', async (t) => {
    const name = uniqueName();
    const running = await startNamed(t, name, URI, ['--shell'], user.options);
    const { terminal, settings, ask } = await attach(t, name, user.options);
    assert.equal(await ask('id -u; stty size'), '0\n33 101');
    terminal.type('exit 42\n');
    assert.deepEqual(await terminal.exited(), { code: 42, signal: null });
    assert.equal(terminal.settings(), settings);
    assertRun(await runSandbox(['--attach', name, '--', 'id', '-un'], user.options), 0, 'root\n');
    running.child.stdin?.end();
    assert.equal((await running.result).code, 0);
    await assertNothingLeft(name, user.where);
  });

  it('accepts root, who names the user, whose home is in the user database', async (t) => {
    const name = uniqueName();
    const running = await startNamed(t, name, URI, ['--shell'], user.options);
    // This machine's user database, in which the user has that home.
    const passwd = join(user.home, 'passwd');
    const moved = (line: string) => {
      const fields = line.split(':');
      return (fields[2] === String(user.uid) ? fields.with(5, user.home) : fields).join(':');
    };
    writeFileSync(passwd, readFileSync('/etc/passwd', 'utf8').split('\n').map(moved).join('\n'));
    const enter = ['unshare', '--mount', '--', 'sh', '-ec', 'mount --bind "$0" /etc/passwd; exec "$@"', passwd];
    assertRun(await runSandbox(['--attach', `nobody/${name}`, '--', 'id', '-un'], { through: enter }), 0, 'root\n');
    const { terminal, ask } = await attach(t, name, { through: enter }, `nobody/${name}`);
    assert.equal(await ask('id -u; tty | cut -c 1-9'), '0\n/dev/pts/');
    terminal.type('exit 7\n');
    assert.deepEqual(await terminal.exited(), { code: 7, signal: null });
    running.child.stdin?.end();
    assert.equal((await running.result).code, 0);
    await assertNothingLeft(name, user.where);
  });
});
