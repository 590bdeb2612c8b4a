/** The option --overlay: its value, what it goes with, and how sandbox.cfg has it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseArguments } from '../../../src/cli/sandbox-arguments.js';
import { configFromOptions } from '../../../src/config/options.js';
import { parseOverlay } from '../../../src/config/parsers/overlay.js';
import { formatSandboxCfg, parseSandboxCfg } from '../../../src/config/sandbox-cfg/sandbox-cfg.js';
import { SandboxError } from '../../../src/util/errors.js';
import { refuses, testUsers } from './support.js';

const command = ['/bin/true'];
const memory = { type: 'memory' } as const;

test('a root is read-only without it, and a base keeps its overlay', async (t) => {
  const users = await testUsers(t);
  const without = await configFromOptions({ command }, users);
  assert.equal(without.overlay, undefined);
  const base = await configFromOptions({ command, overlay: true }, users);
  assert.deepEqual(base.overlay, memory);
  assert.deepEqual((await configFromOptions({ memory: '1G' }, users, base)).overlay, memory);
});

test('it has a value only behind a =, and the word behind it begins the command', () => {
  assert.deepEqual(parseArguments(['--overlay', 'true']), { run: { overlay: true, command: ['true'] } });
  assert.deepEqual(parseArguments(['--overlay', '/srv/dir']), { run: { overlay: true, command: ['/srv/dir'] } });
  const directory = { run: { overlay: '/srv/dir=,', command: ['true'] } };
  assert.deepEqual(parseArguments(['--overlay=/srv/dir=,', 'true']), directory);
  assert.deepEqual(parseArguments(['--overlay', '--overlay=/srv/dir=,', 'true']), directory);
  assert.deepEqual(parseArguments(['--overlay=', 'true']), { run: { overlay: '', command: ['true'] } });
});

test('the value is memory, a directory with a slash, or a file that ends with .qcow2', () => {
  const directory = (path: string) => ({ type: 'directory', path });
  const image = (path: string) => ({ type: 'image', path });
  const here = process.cwd();
  for (const [text, overlay] of [
    ['memory', memory],
    ['/srv/dir', directory('/srv/dir')],
    ['/srv/dir/', directory('/srv/dir/')],
    ['./memory', directory(`${here}/memory`)],
    ['../dir', directory(join(here, '../dir'))],
    ['/srv/v1.2', directory('/srv/v1.2')],
    ['/srv/dir.qcow2/', directory('/srv/dir.qcow2/')],
    ['/srv/a.qcow2', image('/srv/a.qcow2')],
    ['a.QCOW2', image(`${here}/a.QCOW2`)],
  ] as const)
    assert.deepEqual(parseOverlay(text, '--overlay'), overlay, text);
});

test('what could be something else is refused, with what to write', () => {
  for (const [text, code, remedy] of [
    ['', 'overlay-unknown', './DIR'],
    ['dir', 'overlay-unknown', './dir'],
    ['1G', 'overlay-unknown', './1G'],
    ['Memory', 'overlay-unknown', './Memory'],
    ['/srv/a.img', 'overlay-format-unknown', 'a slash at its end'],
    ['a.raw', 'overlay-format-unknown', '.qcow2'],
    ['./a.vmdk', 'overlay-format-unknown', '.qcow2'],
  ] as const)
    assert.throws(
      () => parseOverlay(text, '--overlay'),
      (error) => error instanceof SandboxError && error.code === code && error.remedy?.includes(remedy) === true,
      text,
    );
});

test('it does not go with a mount that replaces the root', async (t) => {
  const users = await testUsers(t);
  for (const mount of ['ram:/=16M', 'host-bind:/=/srv/root', 'host-image:/./=/srv/root.img'])
    await refuses(
      () => configFromOptions({ command, overlay: true, mount: [mount] }, users),
      'config',
      'overlay-root-mount',
      '--overlay',
    );
});

test('sandbox.cfg says what the overlay is, and nothing without one', async (t) => {
  const users = await testUsers(t);
  const text = await formatSandboxCfg(await configFromOptions({ command, overlay: true }, users), { users });
  assert.match(text, /\n\[overlay\]\ntype=memory\n/);
  assert.deepEqual((await parseSandboxCfg(text, { users })).overlay, memory);
  const plain = await formatSandboxCfg(await configFromOptions({ command }, users), { users });
  assert.doesNotMatch(plain, /overlay/);
  const other = text.replace('type=memory', 'type=disk');
  await refuses(() => parseSandboxCfg(other, { users }), 'config', 'config-value-invalid', 'disk');
  const kept = await formatSandboxCfg(await configFromOptions({ command, overlay: '/srv/dir/' }, users), { users });
  assert.match(kept, /\n\[overlay\]\ntype=directory\npath=\/srv\/dir\/\n/);
  assert.deepEqual((await parseSandboxCfg(kept, { users })).overlay, { type: 'directory', path: '/srv/dir/' });
  const nowhere = kept.replace('path=/srv/dir/\n', '');
  await refuses(() => parseSandboxCfg(nowhere, { users }), 'config', 'config-key-missing', 'path');
  const relative = kept.replace('path=/', 'path=');
  await refuses(() => parseSandboxCfg(relative, { users }), 'config', 'overlay-not-absolute', '"srv/dir/"');
});
