/** The option --overlay: its value, what it goes with, and how sandbox.cfg has it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from '../../../src/cli/sandbox-arguments.js';
import { configFromOptions } from '../../../src/config/options.js';
import { formatSandboxCfg, parseSandboxCfg } from '../../../src/config/sandbox-cfg/sandbox-cfg.js';
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

test('it takes no value, and the word behind it begins the command', () => {
  for (const word of ['--overlay=/srv/dir', '--overlay=1G', '--overlay=']) {
    const [, value = ''] = word.split('=');
    assert.throws(() => parseArguments([word, 'true']), {
      code: 'usage',
      message: `--overlay takes no value, and was given ${JSON.stringify(value)}`,
    });
  }
  assert.deepEqual(parseArguments(['--overlay', 'true']), { run: { overlay: true, command: ['true'] } });
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
});
