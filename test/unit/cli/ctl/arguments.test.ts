/** The command line of virt-sandbox-ctl. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isSet, parseCtlArguments, textOf, textsOf, wantsJson } from '../../../../src/cli/ctl/arguments.js';
import { signalOf } from '../../../../src/cli/ctl/end.js';
import { execOptions } from '../../../../src/cli/ctl/exec.js';
import { tailLines } from '../../../../src/cli/ctl/logs.js';
import { nameFilter } from '../../../../src/cli/ctl/ps.js';
import { refuses } from '../../config/support.js';

function parsed(...argv: readonly string[]) {
  const request = parseCtlArguments(argv);
  assert.ok('command' in request, 'it asks for help or version');
  return request;
}

describe('exec', () => {
  it('reads options up to the name, and what follows is the command', () => {
    const { command, args } = parsed('exec', '-it', '-u', 'nobody', 'box', 'ls', '-it', '--', '--help');
    assert.equal(command, 'exec');
    assert.deepEqual([isSet(args, 'interactive'), isSet(args, 'tty'), isSet(args, 'detach')], [true, true, false]);
    assert.equal(textOf(args, 'user'), 'nobody');
    assert.deepEqual(args.words, ['box', 'ls', '-it', '--', '--help']);
  });

  it('takes each option in each form', () => {
    for (const words of [
      ['-e', 'A=b', '-e', 'C=', '-w', '/tmp', '--timeout', '90'],
      ['--env=A=b', '-eC=', '-w/tmp', '--timeout=1.5m'],
    ]) {
      const { env, cwd, timeout, tty } = execOptions(parsed('exec', ...words, 'box', 'x').args);
      assert.deepEqual(
        { env, cwd, timeout, tty },
        { env: { A: 'b', C: '' }, cwd: '/tmp', timeout: 90_000, tty: undefined },
      );
    }
    const { tty } = execOptions(parsed('exec', '-t', 'box', 'x').args);
    assert.ok(tty !== undefined && tty.rows > 0 && tty.columns > 0);
  });

  it('refuses a time that is none', () =>
    refuses(
      () => execOptions(parsed('exec', '--timeout', 'soon', 'b', 'x').args),
      'arguments',
      'duration-invalid',
      '--timeout',
    ));
});

describe('options of the others', () => {
  it('stand also behind names, up to --', () => {
    const { args } = parsed('stop', 'a', '-t', '3', 'b', '--', '-c');
    assert.deepEqual([textOf(args, 'time'), args.words], ['3', ['a', 'b', '-c']]);
  });

  it('have the names that podman has', () => {
    for (const argv of [
      ['ps', '-aq', '--no-trunc', '--noheading', '-f', 'name=x', '--filter=name=y', '--format', 'json'],
      ['logs', '-f', '-t', '--since', '10m', '--tail', '5', 'a'],
      ['logs', '--follow', '--timestamps', 'a'],
      ['stop', '--time', '1', '-i', 'a'],
      ['stop', '-a'],
      ['kill', '-s', 'TERM', 'a'],
      ['kill', '--signal=9', '--all'],
      ['wait', '--ignore', 'a', 'b'],
      ['inspect', 'a', 'b'],
      ['cp', '-u', 'root', 'a:/b', 'c'],
      ['stats', '--no-stream', '--no-reset', '-i', '1', '--format=json'],
    ]) {
      assert.equal(parsed(...argv).command, argv[0]);
    }
    assert.deepEqual(textsOf(parsed('ps', '-f', 'name=x', '-f', 'name=y').args, 'filter'), ['name=x', 'name=y']);
  });

  it('choose JSON', async () => {
    for (const words of [['--json'], ['--format', 'json'], ['--format', 'table', '--json']])
      assert.equal(wantsJson(parsed('ps', ...words).args, 'ps'), true);
    assert.equal(wantsJson(parsed('ps').args, 'ps'), false);
    await refuses(
      () => wantsJson(parsed('ps', '--format', '{{.Names}}').args, 'ps'),
      'arguments',
      'usage',
      '{{.Names}}',
    );
  });
});

describe('help and version', () => {
  it('are asked of the program and of a command', () => {
    assert.deepEqual(parseCtlArguments(['--help']), { asks: 'help', of: undefined });
    assert.deepEqual(parseCtlArguments(['-V']), { asks: 'version', of: undefined });
    assert.deepEqual(parseCtlArguments(['exec', '-h']), { asks: 'help', of: 'exec' });
    assert.deepEqual(parseCtlArguments(['stop', 'a', '--help']), { asks: 'help', of: 'stop' });
  });
});

describe('what is wrong', () => {
  const WRONG: readonly (readonly [argv: readonly string[], ...says: readonly string[]])[] = [
    [[], 'no command'],
    [['frob'], '"frob"'],
    [['toString'], '"toString"'],
    [['--frob', 'ps'], '--frob'],
    [['ps', 'x'], '"x"'],
    [['exec'], 'NAME'],
    [['exec', 'box'], 'COMMAND'],
    [['exec', '--frob', 'box', 'ls'], '--frob'],
    [['cp', 'a'], 'TO'],
    [['cp', 'a', 'b', 'c'], '"c"'],
    [['logs'], 'NAME'],
    [['logs', 'a', 'b'], '"b"'],
    [['wait'], 'NAME'],
    [['inspect'], 'NAME'],
    [['stop', '--all', 'a'], '--all'],
    [['stats', '-a', 'a'], '--all'],
    [['ps', '--quiet=yes'], '--quiet'],
  ];
  for (const [argv, ...says] of WRONG)
    it(argv.join(' ') || '(nothing)', () => refuses(() => parseCtlArguments(argv), 'arguments', 'usage', ...says));

  it('is told with the help to read', () =>
    assert.throws(() => parseCtlArguments(['logs']), { remedy: 'see virt-sandbox-ctl logs --help' }));
});

describe('values', () => {
  it('signals', async () => {
    for (const text of ['TERM', 'SIGTERM', 'term', 'sigterm', '15']) assert.equal(signalOf(text), 15);
    assert.equal(signalOf('64'), 64);
    for (const text of ['', '0', '65', 'TERMS', '-9', '1e1', 'SIG'])
      await refuses(() => signalOf(text), 'arguments', 'usage', JSON.stringify(text));
  });

  it('numbers of lines', async () => {
    assert.deepEqual(
      ['0', '12', '-1', 'all', undefined].map((text) => tailLines(text)),
      [0, 12, undefined, undefined, undefined],
    );
    for (const text of ['', 'x', '1.5', '-2']) await refuses(() => tailLines(text), 'arguments', 'usage');
  });

  it('filters of names', async () => {
    const names = ['box', 'box-2', 'root/other', 'a b'];
    const fitting = (...filters: readonly string[]) => names.filter(nameFilter(filters));
    assert.deepEqual(fitting(), names);
    assert.deepEqual(fitting('name=box'), ['box', 'box-2']);
    assert.deepEqual(fitting('name=^box$'), ['box']);
    assert.deepEqual(fitting('name=^box$', 'name= '), ['box', 'a b']);
    for (const filter of ['status=up', 'box', 'name=(', ''])
      await refuses(() => nameFilter([filter]), 'arguments', 'usage', JSON.stringify(filter));
  });
});
