/** The command line of virt-sandbox-image. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseImageArguments, platformName, registryOf } from '../../../../src/cli/image/arguments.js';
import { sandboxWords } from '../../../../src/cli/image/run.js';

function parsed(...words: readonly string[]) {
  const request = parseImageArguments(words);
  assert.ok('args' in request);
  return request;
}

describe('virt-sandbox-image', () => {
  for (const [words, command] of [
    [['pull', 'debian'], 'pull'],
    [['prepare', 'docker:///debian'], 'pull'],
    [['list'], 'list'],
    [['ls', '-q'], 'list'],
    [['show', 'x'], 'inspect'],
    [['purge', 'x', 'y'], 'rm'],
    [['rm', 'x', '--json', 'y'], 'rm'],
    [['login', '-u', 'me'], 'login'],
    [['diff', 'a', 'b'], 'diff'],
    [['verify'], 'verify'],
  ] as const)
    it(`understands ${words.join(' ')}`, () => assert.equal(parsed(...words).command, command));

  for (const [words, message] of [
    [[], 'no command was given'],
    [['fetch'], 'there is no command "fetch"'],
    [['constructor'], 'there is no command "constructor"'],
    [['pull'], 'pull lacks its IMAGE'],
    [['tag', 'x'], 'tag lacks its NAME'],
    [['pull', 'a', 'b'], 'pull has a word too many: "b"'],
    [['run', '--pull', 'always'], 'run lacks its IMAGE'],
    [['list', '--all'], 'there is no option --all'],
    [['login', '--password', 'x'], 'there is no option --password, but there is --password-stdin'],
  ] as const)
    it(`refuses ${words.join(' ') || 'nothing'}`, () => {
      assert.throws(() => parseImageArguments(words), { code: 'usage', message });
    });

  it('takes the value of --tls-verify as virt-sandbox does', () => {
    const verify = (...words: readonly string[]) => registryOf(parsed('pull', ...words).args, 'pull').tlsVerify;
    assert.deepEqual(
      [[], ['--tls-verify', 'false'], ['--tls-verify=true'], ['--tls-verify=false']].map((words) =>
        verify(...words, 'x'),
      ),
      [true, false, true, false],
    );
    assert.throws(() => verify('--tls-verify=no', 'x'), { message: '--tls-verify=no is neither true nor false' });
  });

  it('knows platforms by any name', () => {
    assert.equal(platformName(parsed('rm', '--platform', 'x86_64', 'x').args), 'linux/amd64');
    assert.equal(platformName(parsed('rm', 'x').args), undefined);
  });

  it('has help of its own and of each command', () => {
    assert.deepEqual(parseImageArguments(['-h']), { asks: 'help', of: undefined });
    assert.deepEqual(parseImageArguments(['ls', '--help']), { asks: 'help', of: 'list' });
    assert.deepEqual(parseImageArguments(['--version']), { asks: 'version', of: undefined });
  });
});

describe('virt-sandbox-image run', () => {
  const ROOT = '--root=docker://docker.io/library/debian:13';
  for (const [words, rewritten] of [
    [['debian:13'], [ROOT, '--']],
    [
      ['debian:13', 'ls', '-l'],
      [ROOT, '--', 'ls', '-l'],
    ],
    [
      ['debian:13', '--', 'ls', '--', '-q'],
      [ROOT, '--', 'ls', '--', '-q'],
    ],
    [
      ['-n', 'box', '-c', 'lxc:///', '-eA=b', '-e', 'C', '-N', 'dhcp,source=default', 'debian:13', '--', 'env'],
      ['--name=box', '--connect=lxc:///', '--env=A=b', '--env=C', '--network=dhcp,source=default', ROOT, '--', 'env'],
    ],
    [
      ['--overlay', '-v', '--pull', 'always', '--platform', 'amd64', '--authfile=/x', 'debian:13'],
      ['--overlay', '--verbose', '--pull=always', '--platform=amd64', '--authfile=/x', ROOT, '--'],
    ],
    [
      ['--overlay=/kept', '--tls-verify', 'false', '-u', 'nobody', 'debian:13'],
      ['--overlay=/kept', '--tls-verify=false', '--user=nobody', ROOT, '--'],
    ],
  ] as const)
    it(`${words.join(' ')} is virt-sandbox ${rewritten.join(' ')}`, () => {
      const { command, args } = parsed('run', ...words);
      assert.equal(command, 'run');
      assert.deepEqual(sandboxWords(args, 'docker://docker.io/library/debian:13'), rewritten);
    });
});
