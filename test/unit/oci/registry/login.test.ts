/** Logging in to registries and out: what is tried, what is written, and what is told. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { lockFile } from '../../../../src/oci/lock.js';
import { logIn, logOut, registryName } from '../../../../src/oci/registry/login.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { ME, openImage, registryWithImage } from '../../../helpers/oci/asking.js';
import { IMPATIENT, sendError } from '../../../helpers/oci/registry.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

describe('a login', () => {
  async function withLogin(context: TestContext) {
    const registry = await registryWithImage(context);
    registry.hook(({ headers }, response) => {
      if (headers.authorization === `Basic ${ME.auth}`) return false;
      response.setHeader('www-authenticate', 'Basic realm="x"');
      sendError(response, 401, 'UNAUTHORIZED', 'no');
      return true;
    });
    const home = scratchDirectory(context);
    const environment = { HOME: home, XDG_RUNTIME_DIR: join(home, 'run'), CONTAINERS_REGISTRIES_CONF: '/dev/null' };
    const path = join(home, 'run', 'containers', 'auth.json');
    return { registry, environment, path, options: { environment, patience: IMPATIENT } };
  }

  it('is tried, kept for this user alone, and used', async (context) => {
    const { registry, environment, path, options } = await withLogin(context);
    const wrong = logIn(registry.host, { user: 'me', password: 'wrong' }, options);
    await rejectsWith(wrong, 'registry-denied', /user and password are refused: .* answers 401 .*; see that both are/);
    assert.ok(!existsSync(dirname(path)));
    const { file, isTried, before } = await logIn(registry.host, { user: 'me', password: 'secret' }, options);
    assert.deepEqual([file, isTried, before], [path, true, []]);
    assert.deepEqual([statSync(path).mode & 0o777, statSync(join(path, '..')).mode & 0o777], [0o600, 0o700]);
    await openImage(context, registry, 'v1', { environment }).document(undefined);
    assert.deepEqual(await logOut(registry.host, options), { had: true, others: [] });
    assert.deepEqual(await logOut(registry.host, options), { had: false, others: [] });
    assert.deepEqual(readdirSync(dirname(path)), ['auth.json']);
    await rejectsWith(openImage(context, registry, 'v1', { environment }).document(undefined), 'registry-denied');
  });

  it('leaves what else is in the file', async (context) => {
    const { registry, path, options } = await withLogin(context);
    const before = { auths: { other: { auth: 'x' } }, credHelpers: { h: 'y' } };
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify(before));
    await logIn(registry.host, { user: 'me', password: 'secret' }, options);
    await logOut(registry.host, options);
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), before);
    writeFileSync(path, '{');
    await rejectsWith(logOut(registry.host, options), 'auth-file-unreadable');
    assert.equal(readFileSync(path, 'utf8'), '{');
  });

  it('to a registry that asks nobody is kept, and not said to be right', async (context) => {
    const { path, options } = await withLogin(context);
    const open = await registryWithImage(context);
    const { file, isTried } = await logIn(open.host, { user: 'me', password: 'wrong' }, options);
    assert.deepEqual([file, isTried], [path, false]);
  });

  it('beside others loses none of them', async (context) => {
    const { path, options } = await withLogin(context);
    const registries = await Promise.all(Array.from({ length: 8 }, () => registryWithImage(context)));
    const login = { user: 'me', password: 'secret' };
    await Promise.all(registries.map(({ host }) => logIn(host, login, options)));
    const hosts = () => Object.keys((JSON.parse(readFileSync(path, 'utf8')) as { auths: object }).auths);
    assert.deepEqual(hosts().sort(), registries.map(({ host }) => host).sort());
    await Promise.all(registries.map(({ host }) => logOut(host, options)));
    assert.deepEqual(hosts(), []);
    assert.deepEqual(readdirSync(dirname(path)), ['auth.json']);
  });

  it('waits for another until it is cancelled', async (context) => {
    const { registry, path, options } = await withLogin(context);
    const login = { user: 'me', password: 'secret' };
    await logIn(registry.host, login, options);
    const lock = await lockFile(`${path}.lock`, 'exclusive');
    const controller = new AbortController();
    const out = logOut(registry.host, options, controller.signal);
    controller.abort();
    await rejectsWith(out, 'aborted');
    await lock?.close();
    assert.deepEqual(await logOut(registry.host, options), { had: true, others: [] });
  });

  it('is forgotten by every name, and others are told', async (context) => {
    const { environment, path, options } = await withLogin(context);
    const write = (file: string, ...keys: readonly string[]) => {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, JSON.stringify({ auths: Object.fromEntries(keys.map((key) => [key, ME])) }));
    };
    write(path, 'docker.io', 'https://index.docker.io/v1/', 'https://other.example/v1/', 'quay.io');
    const docker = join(environment.HOME, '.docker', 'config.json');
    write(docker, 'https://index.docker.io/v1/', 'quay.io/team');
    assert.deepEqual(await logOut('docker.io', options), { had: true, others: [{ path: docker, has: 'password' }] });
    writeFileSync(join(environment.HOME, '.dockercfg'), '{');
    assert.deepEqual(await logOut('quay.io', options), { had: true, others: [{ path: docker, has: 'password' }] });
    assert.deepEqual(await logOut('other.example', options), { had: true, others: [] });
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), { auths: {} });
  });

  it('makes no file to log out, and follows a link to one', async (context) => {
    const { registry, path, options } = await withLogin(context);
    assert.deepEqual(await logOut(registry.host, options), { had: false, others: [] });
    assert.ok(!existsSync(dirname(path)));
    mkdirSync(dirname(path), { recursive: true });
    const target = join(dirname(path), '..', 'elsewhere.json');
    writeFileSync(target, '{}');
    symlinkSync(target, path);
    await logIn(registry.host, { user: 'me', password: 'secret' }, options);
    assert.match(readFileSync(target, 'utf8'), new RegExp(registry.host));
    await logOut(registry.host, options);
    assert.doesNotMatch(readFileSync(target, 'utf8'), new RegExp(registry.host));
    assert.ok(lstatSync(path).isSymbolicLink());
  });

  it('of two at once, by links to one file, keeps both, and removes what one that was killed has left', async (context) => {
    const { environment, options } = await withLogin(context);
    const registries = await Promise.all(Array.from({ length: 8 }, () => registryWithImage(context)));
    const target = join(environment.HOME, 'both.json');
    const left = join(environment.HOME, `.both.json.${'0'.repeat(16)}.tmp`);
    writeFileSync(left, '{"auths": {"old.example": {"auth": "c2VjcmV0"}}}');
    writeFileSync(target, '{}');
    const login = { user: 'me', password: 'secret' };
    await Promise.all(
      registries.map(({ host }, at) => {
        const authFile = join(environment.HOME, `link${at}.json`);
        symlinkSync('both.json', authFile);
        return logIn(host, login, { ...options, authFile });
      }),
    );
    const { auths } = JSON.parse(readFileSync(target, 'utf8')) as { auths: Record<string, unknown> };
    assert.deepEqual(Object.keys(auths).sort(), registries.map(({ host }) => host).sort());
    assert.ok(!existsSync(left));
  });

  it('that cannot be kept says where', async (context) => {
    const { registry, options } = await withLogin(context);
    // Nobody makes directories there, not even root.
    const authFile = '/proc/no-such-directory/auth.json';
    const logging = logIn(registry.host, { user: 'me', password: 'secret' }, { ...options, authFile });
    await rejectsWith(logging, 'auth-file-not-writable', /auth\.json cannot be written \(E\w+\); name another/);
  });

  it('that could not be kept sends no password', async (context) => {
    const { registry, environment, options } = await withLogin(context);
    const file = join(environment.HOME, 'file');
    writeFileSync(file, '');
    const link = join(environment.HOME, 'link.json');
    writeFileSync(join(environment.HOME, 'bad.json'), '{');
    symlinkSync('bad.json', link);
    const login = { user: 'me', password: 'secret' };
    for (const [authFile, code] of [
      [join(file, 'auth.json'), 'auth-file-unreadable'],
      [join(file, 'containers', 'auth.json'), 'auth-file-unreadable'],
      [link, 'auth-file-unreadable'],
    ] as const)
      await rejectsWith(logIn(registry.host, login, { ...options, authFile }), code);
    assert.deepEqual(registry.paths(), []);
  });

  it('that could not be written sends no password', {
    skip: unlessRoot('it mounts a file system that nobody can write to'),
  }, async (context) => {
    const { registry, environment, options } = await withLogin(context);
    const readOnly = join(environment.HOME, 'read-only');
    mkdirSync(readOnly);
    try {
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', readOnly], { stdio: 'pipe' });
    } catch (error) {
      context.skip(`a tmpfs cannot be mounted here: ${String(error)}`);
      return;
    }
    try {
      // The link could be replaced, and what it leads to could not.
      const link = join(environment.HOME, 'link.json');
      writeFileSync(join(readOnly, 'target.json'), '{}');
      execFileSync('mount', ['-o', 'remount,ro', readOnly]);
      symlinkSync(join(readOnly, 'target.json'), link);
      const login = { user: 'me', password: 'secret' };
      for (const authFile of [join(readOnly, 'auth.json'), join(readOnly, 'new', 'auth.json'), link])
        await rejectsWith(logIn(registry.host, login, { ...options, authFile }), 'auth-file-not-writable', /EROFS/);
      assert.deepEqual(registry.paths(), []);
    } finally {
      execFileSync('umount', [readOnly]);
    }
  });

  it('goes where registries.conf says that the registry is, as pulls do', async (context) => {
    const { registry, environment, path, options } = await withLogin(context);
    const conf = join(environment.HOME, 'registries.conf');
    writeFileSync(
      conf,
      `[[registry]]\nprefix = "moved.example"\nlocation = "${registry.host}/hub"\n` +
        `[[registry]]\nlocation = "blocked.example"\nblocked = true\n`,
    );
    const own = { ...options, environment: { ...environment, CONTAINERS_REGISTRIES_CONF: conf } };
    const login = { user: 'me', password: 'secret' };
    assert.equal((await logIn('moved.example', login, own)).registry, registry.host);
    const { auths } = JSON.parse(readFileSync(path, 'utf8')) as { auths: object };
    assert.deepEqual(Object.keys(auths), [registry.host]);
    assert.deepEqual(await logOut('moved.example', own), { had: true, others: [] });
    await rejectsWith(logIn('blocked.example', login, own), 'registry-blocked', /'blocked\.example' is blocked by/);
    // Its password has to go all the same.
    writeFileSync(path, JSON.stringify({ auths: { 'blocked.example': ME } }));
    assert.deepEqual(await logOut('blocked.example', own), { had: true, others: [] });
  });

  it('says what pulls use before it, and what logout leaves', async (context) => {
    const { registry, environment, path, options } = await withLogin(context);
    const { host } = registry;
    const before = process.env['PATH'];
    context.after(() => {
      process.env['PATH'] = before;
    });
    process.env['PATH'] = `${environment.HOME}:${before}`;
    writeFileSync(join(environment.HOME, 'docker-credential-one'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    mkdirSync(dirname(path), { recursive: true });
    const credHelpers = { [host]: 'one', [`${host}/team`]: 'one', [`${host}/gone`]: 'not-installed', other: 'one' };
    writeFileSync(path, JSON.stringify({ credHelpers, auths: { [`${host}/team/x`]: ME, [`${host}0/x`]: ME } }));
    const login = await logIn(host, { user: 'me', password: 'secret' }, options);
    assert.deepEqual(login.before, [
      `credHelpers["${host}"]`,
      `credHelpers["${host}/team"]`,
      `auths["${host}/team/x"]`,
    ]);
    assert.deepEqual(await logOut(host, options), { had: true, others: [{ path, has: 'password' }] });
    writeFileSync(path, JSON.stringify({ credHelpers }));
    assert.deepEqual(await logOut(host, options), { had: false, others: [{ path, has: 'helper' }] });
    writeFileSync(path, JSON.stringify({ credsStore: 'one' }));
    assert.deepEqual(await logOut(host, options), { had: false, others: [{ path, has: 'helper' }] });
    writeFileSync(path, JSON.stringify({ credsStore: 'not-installed' }));
    assert.deepEqual(await logOut(host, options), { had: false, others: [] });
  });

  it('is to a registry, by a user with a name and a password', async (context) => {
    const { options } = await withLogin(context);
    assert.equal(registryName('https://index.docker.io/'), 'docker.io');
    assert.equal(registryName('Host.example:5000'), 'host.example:5000');
    assert.throws(() => registryName('a b'), { code: 'reference-invalid' });
    for (const login of [
      { user: '', password: 'x' },
      { user: 'a:b', password: 'x' },
      { user: 'a', password: '' },
    ])
      await rejectsWith(logIn('h.example', login, options), 'login-invalid');
  });

  it('may be one for a token', async (context) => {
    const { registry, options } = await withLogin(context);
    registry.hook(({ path, headers }, response) => {
      if (path.startsWith('/token')) {
        response.end(JSON.stringify({ token: headers.authorization === `Basic ${ME.auth}` ? 'good' : 'bad' }));
        return true;
      }
      if (headers.authorization === 'Bearer good') return false;
      response.setHeader('www-authenticate', `Bearer realm="http://${registry.host}/token",service="s"`);
      sendError(response, 401, 'UNAUTHORIZED', 'no');
      return true;
    });
    registry.hook(({ path, headers }, response) => {
      if (path !== '/v2/' || headers.authorization !== 'Bearer good') return false;
      response.end('{}');
      return true;
    });
    await logIn(registry.host, { user: 'me', password: 'secret' }, options);
    assert.ok(registry.paths().includes('/token?service=s'));
    await rejectsWith(logIn(registry.host, { user: 'me', password: 'other' }, options), 'registry-denied');
  });
});
