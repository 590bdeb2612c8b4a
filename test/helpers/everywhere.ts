/** What a command of root finds in a machine and in a container alike. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { homedir, userInfo } from 'node:os';
import { it } from 'node:test';
import { assertCapabilities, CAPABILITIES, type Facts } from './inside.js';

const MODES = { '/tmp': '1777', '/run': '755', '/dev/shm': '1777' };

/** The facts to ask. Ask them first: later commands may write to the same directories. */
export const EVERYWHERE: Facts = {
  ...Object.fromEntries(
    Object.keys(MODES).flatMap((path) => [
      [`type ${path}`, `grep ' ${path} ' /proc/mounts | tail -n 1 | cut -d' ' -f3`],
      [`empty ${path}`, `ls -A ${path}`],
      [`mode ${path}`, `stat -c %a ${path}`],
      [`write ${path}`, `echo kept > ${path}/x && cat ${path}/x; rm ${path}/x`],
    ]),
  ),
  ...CAPABILITIES,
  ids: 'id',
  hostname: 'cat /proc/sys/kernel/hostname',
  cwd: 'pwd',
  environment: `env | grep -vE '^(_|PWD|OLDPWD|SHLVL)=' | sort | tr '\\n' ' '`,
  write: 'touch /virt-sandbox-test-was-here && echo written',
  hostFile: 'head -n 1 /etc/passwd',
  lo: 'cat /sys/class/net/lo/flags',
  links: 'ls /sys/class/net | tr "\\n" " "',
  loReachable: 'busybox nc -w 2 127.0.0.1 9',
  descriptors: 'ls /proc/self/fd | tr "\\n" " "',
  devStdout: 'echo through > /dev/stdout',
  tty: 'tty',
  date: 'date +%s',
};

/**
 * Defines the tests.
 * @param name the domain's name
 * @param found returns the answers to {@link EVERYWHERE}; called while the tests run
 */
export function itIsAsEverywhere(name: string, found: () => Readonly<Record<string, string>>): void {
  const fact = (key: string) => found()[key] ?? '';

  it('is who called, with the same groups', () => {
    assert.equal(fact('ids'), execFileSync('id', { encoding: 'utf8' }).trim());
  });

  it('has no capability, not even as root', () => {
    assertCapabilities(found() as Record<keyof typeof CAPABILITIES, string>, 'none');
  });

  it('is called as its domain', () => assert.equal(fact('hostname'), name));

  it('has the usual environment, and no variable more', () => {
    const { username } = userInfo();
    const variables = [
      `HOME=${process.env['HOME'] ?? homedir()}`,
      `LOGNAME=${username}`,
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      `USER=${username}`,
      `USERNAME=${username}`,
    ];
    assert.equal(fact('environment').trim(), variables.join(' '));
  });

  it('begins in the home directory', () => assert.equal(fact('cwd'), process.env['HOME'] ?? homedir()));

  it('sees the files of the host, and cannot write to the root', () => {
    assert.equal(fact('hostFile'), execFileSync('head', ['-n', '1', '/etc/passwd'], { encoding: 'utf8' }).trim());
    assert.match(fact('write'), /Read-only file system|Permission denied/);
  });

  for (const [path, mode] of Object.entries(MODES)) {
    it(`has an empty tmpfs on ${path}, and can write there`, () => {
      assert.deepEqual(
        ['type', 'empty', 'mode', 'write'].map((each) => fact(`${each} ${path}`)),
        ['tmpfs', '', mode, 'kept'],
      );
    });
  }

  it('has its loopback interface up, and no other', () => {
    assert.equal(Number(fact('lo')) & 1, 1);
    assert.equal(fact('links').trim(), 'lo');
    // Without a route to itself, the address would be unreachable.
    assert.match(fact('loReachable'), /refused/);
  });

  it('inherits three descriptors and no more, and no terminal', () => {
    assert.match(fact('descriptors'), /^0 1 2( 3)?\s*$/);
    assert.equal(fact('devStdout'), 'through');
    assert.equal(fact('tty'), 'not a tty');
  });

  it('has the time of the host', () => {
    assert.ok(Math.abs(Number(fact('date')) - Date.now() / 1000) < 60, fact('date'));
  });
}
