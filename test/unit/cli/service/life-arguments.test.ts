/** Command lines of what starts services and looks after them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseServiceArguments } from '../../../../src/cli/service/arguments.js';
import { execute } from '../../../../src/cli/service/execute.js';
import { logs } from '../../../../src/cli/service/logs.js';
import type { ServiceCommandName } from '../../../../src/cli/service/options.js';
import { restart } from '../../../../src/cli/service/start.js';
import { stop } from '../../../../src/cli/service/stop.js';
import { uniqueName } from '../../../helpers/leftovers.js';

function argumentsOf(...words: readonly string[]) {
  const request = parseServiceArguments(words);
  if ('asks' in request) throw new Error('it asks for help');
  return request.args;
}

describe('a command line', () => {
  it('may have options behind the name, and the command behind --', () => {
    const { words, values } = argumentsOf('execute', 'web', '--user', 'nobody', '-e', 'A=b', '--', 'ls', '-l');
    assert.deepEqual(words, ['web', 'ls', '-l']);
    assert.deepEqual(
      [...values],
      [
        ['user', 'nobody'],
        ['env', ['A=b']],
      ],
    );
    assert.deepEqual([...argumentsOf('stop', 'a', 'b', '-t', '5').values], [['time', '5']]);
  });

  it('lacks what it needs', () => {
    for (const [command, word] of [
      ['start', 'NAME'],
      ['stop', 'NAME'],
      ['run', 'NAME'],
      ['logs', 'NAME'],
      ['connect', 'NAME'],
      ['reload', 'NAME'],
    ] satisfies [ServiceCommandName, string][])
      assert.throws(() => argumentsOf(command), { code: 'usage', message: `${command} lacks its ${word}` });
    assert.throws(() => argumentsOf('execute', 'web'), { code: 'usage', message: /lacks its COMMAND/ });
    assert.throws(() => argumentsOf('run', 'a', 'b'), { code: 'usage', message: /a word too many: "b"/ });
  });

  it('has a time, a date or a number that is none', async () => {
    for (const [run, words, pattern] of [
      [stop, ['stop', '-t', 'x', 'a'], /--time cannot be "x"/],
      [restart, ['restart', '--time=-1', 'a'], /--time cannot be "-1"/],
      [logs, ['logs', '--tail', 'x', 'a'], /--tail "x" is no number of lines/],
      [logs, ['logs', '--since', 'x', 'a'], /--since cannot be "x"/],
    ] as const) {
      const remedy = `see virt-sandbox-service ${words[0]} --help`;
      await assert.rejects(run(argumentsOf(...words)), { code: 'usage', message: pattern, remedy });
    }
  });

  it('names a service that is not there, or that cannot be', async () => {
    const name = uniqueName();
    await assert.rejects(execute(argumentsOf('execute', name, '--', 'true')), { code: 'service-not-found' });
    await assert.rejects(logs(argumentsOf('logs', name)), { code: 'service-not-found' });
    await assert.rejects(logs(argumentsOf('logs', '../x')), { code: 'service-name-invalid' });
  });
});
