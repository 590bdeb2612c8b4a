/** --pool, and the command lines of virt-sandbox-ctl pool. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCtlArguments } from '../../../src/cli/ctl/arguments.js';
import { poolTable } from '../../../src/cli/ctl/pool-list.js';
import { checkTemplateVariables, checkVariablesWithPool } from '../../../src/cli/pool-variables.js';
import { type Arguments, checkTemplate, checkWithPool, parseArguments } from '../../../src/cli/sandbox-arguments.js';

function argumentsOf(words: readonly string[]): Arguments {
  const request = parseArguments(words);
  assert.ok('run' in request);
  return request.run;
}

describe('--pool', () => {
  it('goes with what is about the command', () => {
    const command = ['-n', 'x', '-e', 'A=b', '--cwd', '/', '-S', 'nobody', '--timeout', '5', '--publish', '80', '-vd'];
    checkWithPool(argumentsOf(['--pool', 'p', '--detach', ...command, '--', 'true']));
  });

  it('does not go with what is about the machine', () => {
    const others: readonly (readonly string[])[] = [
      ['--mount', 'ram:/x=1M'],
      ['--memory', '1G'],
      ['--connect', 'qemu:///embed'],
      ['--privileged'],
      ['--dry-run'],
      ['--attach', 'x'],
    ];
    for (const words of others)
      assert.throws(() => checkWithPool(argumentsOf(['--pool', 'p', ...words, '--', 'true'])), {
        code: 'usage',
        message: `--pool cannot go with ${words[0]}: the options of virt-sandbox-ctl pool create decide it`,
      });
  });
});

describe('variables of one sandbox', () => {
  const variables = { LIBVIRT_SANDBOX_INIT_DEBUG: '1', LIBVIRT_SANDBOX_STRACE: 'trace=openat', PATH: '/bin' };

  it('do not go with --pool', () => {
    assert.throws(() => checkVariablesWithPool(variables), {
      code: 'usage',
      message:
        '--pool cannot go with LIBVIRT_SANDBOX_INIT_DEBUG, LIBVIRT_SANDBOX_STRACE: its sandboxes have started already',
    });
    checkVariablesWithPool({ LIBVIRT_SANDBOX_STRACE: '', PATH: '/bin' });
  });

  it('are not those of a pool, but for the messages of the start', () => {
    assert.throws(() => checkTemplateVariables(variables), {
      code: 'usage',
      message: 'the sandboxes of a pool cannot have LIBVIRT_SANDBOX_STRACE',
    });
    assert.throws(() => checkTemplateVariables({ LIBVIRT_SANDBOX_INIT_DEBUG: 'break:root' }), { code: 'usage' });
    checkTemplateVariables({ LIBVIRT_SANDBOX_INIT_DEBUG: '1' });
  });
});

describe('virt-sandbox-ctl pool', () => {
  it('has commands of two words', () => {
    const request = parseCtlArguments([
      'pool',
      'create',
      'jobs',
      '--size',
      '3',
      '--',
      '--memory',
      '1G',
      '-m',
      'ram:/x=1M',
    ]);
    assert.ok('command' in request);
    assert.equal(request.command, 'pool create');
    assert.deepEqual([...request.args.values], [['size', '3']]);
    assert.deepEqual(request.args.words, ['jobs', '--memory', '1G', '-m', 'ram:/x=1M']);
    assert.deepEqual(parseCtlArguments(['pool', '--help']), { asks: 'help', of: undefined });
    assert.deepEqual(parseCtlArguments(['pool', 'rm', '--help']), { asks: 'help', of: 'pool rm' });
  });

  it('has others refused', () => {
    const refused: readonly (readonly [readonly string[], RegExp])[] = [
      [['pool'], /^pool lacks its command: create, ls, inspect or rm$/],
      [['pool', 'start'], /^there is no command "pool start"$/],
      [['pool create', 'x', 'y'], /create/],
      [['pool', 'create'], /^pool create lacks its NAME$/],
      [['pool', 'create', 'x', '--memory', '1G'], /^there is no option --memory/],
      [['pool', 'ls', 'x'], /^pool ls has a word too many: "x"$/],
      [['pool', 'rm', '--all', 'x'], /^pool rm has a name and --all; it takes one of both$/],
    ];
    for (const [words, message] of refused)
      assert.throws(() => parseCtlArguments(words), { code: 'usage', message }, words.join(' '));
  });

  it('makes pools of sandboxes without a command', () => {
    checkTemplate(argumentsOf(['-c', 'qemu:///embed', '-e', 'A=b', '--switchto', 'nobody', '--memory', '1G', '-v']));
    for (const words of [['-n', 'x'], ['--detach'], ['--publish', '80'], ['--pool', 'x'], ['--timeout', '5']])
      assert.throws(() => checkTemplate(argumentsOf(words)), {
        code: 'usage',
        message: /^the sandboxes of a pool cannot/,
      });
    assert.throws(() => checkTemplate(argumentsOf(['true'])), { code: 'usage', message: /^a pool has no command/ });
  });

  it('shows pools in a table', () => {
    const known = { pid: 1, created: '2026-11-28T10:00:00.000Z', options: [], takenInAll: 7, waiting: [] };
    const pools = [
      { ...known, name: 'jobs', size: 4, idle: 2, starting: 1, taken: ['a', 'b'], privateBytesPerMember: 48_700_000 },
      { ...known, name: 'a\nb', size: 1, idle: 0, starting: 1, taken: [] },
      { ...known, name: 'deaf', size: 3, error: 'no answer' },
    ];
    assert.deepEqual(poolTable(pools, true), [
      'NAME  SIZE  IDLE  STARTING  TAKEN  MEMORY EACH',
      'jobs  4     2     1         2      48.7MB',
      'a\\nb  1     0     1         0',
      'deaf  3     ?     ?         ?      does not answer',
    ]);
  });
});
