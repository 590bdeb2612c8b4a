/** The command line of virt-sandbox: it accepts what libvirt-sandbox 0.8 accepted, with the same meaning. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Arguments, parseArguments } from '../../../src/cli/sandbox-arguments.js';
import type { options } from '../../../src/cli/sandbox-options.js';
import { refuses } from '../config/support.js';

const COMMAND = ['cmd', 'arg'];

/** What `argv` says, without the command, which is always the same. */
function said(...argv: readonly string[]): Omit<Arguments, 'command'> {
  const request = parseArguments([...argv, ...COMMAND]);
  assert.ok('run' in request, 'it asks for help or version');
  const { command, ...rest } = request.run;
  assert.deepEqual(command, COMMAND);
  return rest;
}

/** Long name, short name, and how it repeats. */
const UPSTREAM: readonly (readonly [keyof typeof options, string | undefined, 'flag' | 'last' | 'all'])[] = [
  ['verbose', 'v', 'flag'],
  ['debug', 'd', 'flag'],
  ['connect', 'c', 'last'],
  ['name', 'n', 'last'],
  ['root', 'r', 'last'],
  ['disk', undefined, 'all'],
  ['env', 'e', 'all'],
  ['mount', 'm', 'all'],
  ['include', 'i', 'all'],
  ['includefile', 'I', 'last'],
  ['network', 'N', 'all'],
  ['security', 's', 'last'],
  ['privileged', 'p', 'flag'],
  ['switchto', 'S', 'last'],
  ['shell', 'l', 'flag'],
  ['kernver', undefined, 'last'],
  ['kernpath', undefined, 'last'],
  ['kmodpath', undefined, 'last'],
];

/** Values that a careless parser would misread. */
const VALUES = [
  'x',
  'KEY=VALUE',
  '',
  '-n',
  '--name',
  '--',
  '-',
  '7',
  '0x10',
  'true',
  '"quoted"',
  ' ',
  'a,b',
  'ä',
  'a\nb',
];

for (const [name, short, repeats] of UPSTREAM) {
  test(`--${name}`, () => {
    const forms = [`--${name}`, ...(short === undefined ? [] : [`-${short}`])];
    if (repeats === 'flag') {
      for (const form of forms) {
        assert.deepEqual(said(form), { [name]: true });
        assert.deepEqual(said(form, '--'), { [name]: true });
        assert.deepEqual(said(form, form), { [name]: true });
      }
      return;
    }
    const expected = (...values: string[]) => ({ [name]: repeats === 'all' ? values : values.at(-1) });
    for (const value of VALUES) {
      for (const form of forms) assert.deepEqual(said(form, value), expected(value));
      assert.deepEqual(said(`--${name}=${value}`), expected(value));
      if (short === undefined) continue;
      if (value !== '') assert.deepEqual(said(`-${short}${value}`), expected(value));
      assert.deepEqual(said(`-v${short}`, value), { verbose: true, ...expected(value) });
    }
    assert.deepEqual(said(`--${name}`, 'first', `--${name}=second`), expected('first', 'second'));
    for (const form of forms) assert.throws(() => parseArguments([form]), new RegExp(`${form} has no value`));
  });
}

test('command lines of real scripts', () => {
  assert.deepEqual(said('-c', 'lxc:///', '-m', 'host-bind:/home/a=/srv', '-i', '/home/a/x', '-vdp'), {
    connect: 'lxc:///',
    mount: ['host-bind:/home/a=/srv'],
    include: ['/home/a/x'],
    verbose: true,
    debug: true,
    privileged: true,
  });
  assert.deepEqual(said('-eA=b', '-e', 'C=d=e', '--env=F='), { env: ['A=b', 'C=d=e', 'F='] });
});

test('the command begins with the first word that is not an option', () => {
  for (const command of [
    ['ls', '-l'],
    ['ls', '--help', '--version', '-n', 'x', '--'],
    ['-', '-v'],
    ['', '-v'],
  ]) {
    assert.deepEqual(parseArguments(['-v', ...command]), { run: { verbose: true, command } });
    assert.deepEqual(parseArguments(['-v', '--', ...command]), { run: { verbose: true, command } });
  }
  assert.deepEqual(parseArguments(['--', '--', 'x']), { run: { command: ['--', 'x'] } });
  assert.deepEqual(parseArguments(['--', '-v']), { run: { command: ['-v'] } });
  assert.deepEqual(parseArguments([]), { run: { command: [] } });
});

test('help and version win over everything else', () => {
  for (const [words, asks] of [
    [['-h'], 'help'],
    [['--help'], 'help'],
    [['-V'], 'version'],
    [['--version'], 'version'],
    [['-vh'], 'help'],
    [['-n', 'x', '--help', '--no-such-option'], 'help'],
    [['--version', '--help'], 'version'],
  ] as const) {
    assert.deepEqual(parseArguments([...words, 'cmd']), { asks });
  }
});

test('option names of several words', () => {
  assert.deepEqual(said('--boot-timeout', '5', '--print-xml', '--save-config=/f'), {
    bootTimeout: '5',
    printXml: true,
    saveConfig: '/f',
  });
});

test('errors', async () => {
  for (const [argv, ...names] of [
    [['--no-such-option'], '--no-such-option'],
    [['--no-such-option=5'], 'option --no-such-option'],
    [['--mout', 'x'], '--mout', '--mount'],
    [['--net', 'x'], '--net'],
    [['--includ', 'x'], '--includ', '--include'],
    [['-Z'], '-Z'],
    [['-vZ'], '-Z'],
    [['--verbose=yes'], '--verbose', '"yes"'],
    [['-v=yes'], '-v takes no value', '"yes"'],
    [['-dp=false'], '-p takes no value', '"false"'],
    [['-Z=1'], 'there is no option -Z'],
    [['--name'], '--name'],
    [['-vn'], '-n'],
    [['--constructor'], '--constructor'],
    [['--__proto__=1'], '--__proto__'],
    [['---'], '---'],
    [['--=x'], '--'],
  ] as const) {
    await refuses(() => parseArguments(argv), 'arguments', 'usage', ...names);
  }
});
