/** Passwords of registries: which file, which key, which helper. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { findCredentials } from '../../../../src/oci/registry/auth-files.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });
const password = (text: string) => {
  const [user = '', ...rest] = text.split(':');
  return { kind: 'password', user, password: rest.join(':') };
};

/** A home with auth files, by their paths in it. */
function home(context: TestContext, files: Readonly<Record<string, object | string>>) {
  const directory = scratchDirectory(context);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  const environment = { HOME: directory, XDG_RUNTIME_DIR: join(directory, 'run') };
  const find = (registry: string, repository = 'a/b', options: { authFile?: string; more?: NodeJS.ProcessEnv } = {}) =>
    findCredentials(registry, repository, {
      authFile: options.authFile,
      environment: { ...environment, ...options.more },
    });
  return { directory, find };
}

describe('credentials', () => {
  it('are those of the first file that has some', async (context) => {
    const { directory, find } = home(context, {
      'run/containers/auth.json': { auths: { 'one.example': auth('run:1') } },
      '.config/containers/auth.json': { auths: { 'one.example': auth('config:1'), 'two.example': auth('config:2') } },
      '.docker/config.json': { auths: { 'two.example': auth('docker:2'), 'three.example': auth('docker:3') } },
      '.dockercfg': { 'three.example': auth('old:3'), 'four.example': auth('old:4') },
      'mine.json': { auths: { 'one.example': auth('mine:x:y') } },
    });
    assert.deepEqual(await find('one.example'), password('run:1'));
    assert.deepEqual(await find('two.example'), password('config:2'));
    assert.deepEqual(await find('three.example'), password('docker:3'));
    assert.deepEqual(await find('four.example'), password('old:4'));
    assert.equal(await find('five.example'), undefined);
    const authFile = join(directory, 'mine.json');
    assert.deepEqual(await find('one.example', 'a', { authFile }), password('mine:x:y'));
    assert.equal(await find('two.example', 'a', { authFile }), undefined);
    assert.deepEqual(await find('one.example', 'a', { more: { REGISTRY_AUTH_FILE: authFile } }), password('mine:x:y'));
  });

  it('are those of the longest key', async (context) => {
    const { find } = home(context, {
      'run/containers/auth.json': {
        auths: { 'h:5000': auth('host:1'), 'h:5000/a': auth('a:1'), 'h:5000/a/b': auth('ab:1') },
      },
    });
    assert.deepEqual(await find('h:5000', 'a/b'), password('ab:1'));
    assert.deepEqual(await find('h:5000', 'a/bc'), password('a:1'));
    assert.deepEqual(await find('h:5000', 'ab'), password('host:1'));
    assert.equal(await find('h', 'a/b'), undefined);
  });

  for (const key of ['https://index.docker.io/v1/', 'docker.io', 'index.docker.io'])
    it(`of Docker Hub may be those of ${key}`, async (context) => {
      const { find } = home(context, { '.docker/config.json': { auths: { [key]: auth('me:x') } } });
      assert.deepEqual(await find('docker.io', 'library/debian'), password('me:x'));
    });

  it('may be those of a URL', async (context) => {
    const { find } = home(context, { '.docker/config.json': { auths: { 'https://h.example/v2/': auth('me:x') } } });
    assert.deepEqual(await find('h.example'), password('me:x'));
    assert.equal(await find('h.example.org'), undefined);
  });

  it('may be an identity token', async (context) => {
    const { find } = home(context, { '.docker/config.json': { auths: { h: { ...auth('x:'), identitytoken: 't' } } } });
    assert.deepEqual(await find('h'), { kind: 'identity', token: 't' });
  });

  it('may be those of a helper, which is asked by standard input', async (context) => {
    const { directory, find } = home(context, {
      '.docker/config.json': {
        credHelpers: { 'one.example': 'one', 'two.example': 'fails', 'bad.example': '../../bin/one' },
        credsStore: 'store',
        auths: { 'two.example': auth('file:2'), 'three.example': {} },
      },
    });
    const path = process.env['PATH'];
    context.after(() => {
      process.env['PATH'] = path;
    });
    process.env['PATH'] = `${directory}:${path}`;
    const program = (name: string, script: string) =>
      writeFileSync(join(directory, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const says = (user: string) =>
      `read -r host; printf '{"ServerURL":"%s","Username":"${user}","Secret":"%s"}' "$host" "$1 $host"`;
    program('one', says('me'));
    program('fails', 'echo "credentials not found"; exit 1');
    program('store', says('<token>'));
    assert.deepEqual(await find('one.example'), { kind: 'password', user: 'me', password: 'get one.example' });
    assert.deepEqual(await find('two.example'), password('file:2'));
    assert.deepEqual(await find('three.example'), { kind: 'identity', token: 'get three.example' });
    assert.deepEqual(await find('bad.example'), { kind: 'identity', token: 'get bad.example' });
    assert.deepEqual(await find('docker.io', 'library/a'), {
      kind: 'identity',
      token: 'get https://index.docker.io/v1/',
    });
  });

  it('are none where a helper is not installed', async (context) => {
    const { find } = home(context, { '.docker/config.json': { credsStore: 'not-installed-anywhere' } });
    assert.equal(await find('h'), undefined);
  });

  it('of a file that cannot be read are an error if the file was named', async (context) => {
    const { directory, find } = home(context, { 'bad.json': '{' });
    for (const name of ['bad.json', 'missing.json', '.'])
      await rejectsWith(find('h', 'a', { authFile: join(directory, name) }), 'auth-file-unreadable', /--authfile/);
  });

  for (const value of [1, 'x', null, [], { auth: 1 }, { auth: 'bm9jb2xvbg==' }, { username: 'a' }])
    it(`are none of ${JSON.stringify(value)}`, async (context) => {
      const { find } = home(context, { '.docker/config.json': { auths: { h: value } } });
      assert.equal(await find('h'), undefined);
    });
});
