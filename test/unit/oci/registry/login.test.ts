/** Registries that want to know who asks: tokens and passwords. */
import assert from 'node:assert/strict';
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
import { authFile, ME, openImage, registryWithImage } from '../../../helpers/oci/asking.js';
import { IMPATIENT, sendError } from '../../../helpers/oci/registry.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

describe('a token', () => {
  /** A registry that wants a token, with a token server in it. */
  async function withTokens(context: TestContext, token: (n: number) => object) {
    const registry = await registryWithImage(context);
    const given: string[] = [];
    registry.hook(({ path, headers }, response) => {
      if (path === '/v2/') return false;
      if (path.startsWith('/token')) {
        response.end(JSON.stringify(token(given.length)));
        given.push(path);
        return true;
      }
      if (headers.authorization?.startsWith('Bearer good')) return false;
      const realm = `http://${registry.host}/token?x=1`;
      response.setHeader(
        'www-authenticate',
        `Bearer realm="${realm}",service="a b",scope="repository:test/image:pull"`,
      );
      sendError(response, 401, 'UNAUTHORIZED', 'no');
      return true;
    });
    return { registry, given };
  }

  it('is got once, without a user', async (context) => {
    const { registry, given } = await withTokens(context, () => ({ token: 'good' }));
    const source = openImage(context, registry);
    await source.document(undefined);
    await source.document(undefined);
    assert.deepEqual(given, ['/token?x=1&service=a+b&scope=repository%3Atest%2Fimage%3Apull']);
  });

  it('is got again when it is at its end', async (context) => {
    const { registry, given } = await withTokens(context, (n) => ({ access_token: `good${n}`, expires_in: 1 }));
    const source = openImage(context, registry);
    await source.document(undefined);
    await source.document(undefined);
    assert.equal(given.length, 2);
  });

  it('is got with a user and a password', async (context) => {
    const { registry } = await withTokens(context, () => ({ token: 'good' }));
    await openImage(context, registry, 'v1', { authFile: authFile(context, registry, ME) }).document(undefined);
    const [request] = registry.requests.filter(({ path }) => path.startsWith('/token'));
    assert.equal(request?.headers.authorization, `Basic ${ME.auth}`);
  });

  it('is got with an identity token', async (context) => {
    const { registry } = await withTokens(context, () => ({ access_token: 'good' }));
    const file = authFile(context, registry, { identitytoken: 'i+d' });
    await openImage(context, registry, 'v1', { authFile: file }).document(undefined);
    const [request] = registry.requests.filter(({ path }) => path.startsWith('/token'));
    assert.equal(request?.method, 'POST');
    assert.deepEqual(Object.fromEntries(new URLSearchParams(request?.body)), {
      grant_type: 'refresh_token',
      refresh_token: 'i+d',
      client_id: 'virt-sandbox',
      service: 'a b',
      scope: 'repository:test/image:pull',
    });
  });

  it('is not got from where its server leads an identity token', async (context) => {
    const { registry } = await withTokens(context, () => ({ access_token: 'good' }));
    const other = await registryWithImage(context);
    registry.hook(({ path }, response) => {
      if (!path.startsWith('/token')) return false;
      response.writeHead(307, { location: `http://${other.host}/token` });
      response.end();
      return true;
    });
    const file = authFile(context, registry, { identitytoken: 'secret' });
    const source = openImage(context, registry, 'v1', { authFile: file });
    await rejectsWith(source.document(undefined), 'registry-error', /307/);
    assert.equal(other.requests.length, 0);
  });

  it('that is not taken is not shown again', async (context) => {
    const { registry, given } = await withTokens(context, () => ({ token: 'bad' }));
    await rejectsWith(openImage(context, registry).document(undefined), 'registry-denied', /401.*UNAUTHORIZED/);
    assert.equal(given.length, 1);
    assert.equal(registry.paths().filter((path) => path.includes('manifests')).length, 2);
  });

  for (const answer of [{}, { token: 'a\r\nb: c' }, { token: 1 }, []])
    it(`that is ${JSON.stringify(answer)} is none`, async (context) => {
      const { registry } = await withTokens(context, () => answer);
      await rejectsWith(
        openImage(context, registry).document(undefined),
        'registry-answer',
        /something else than a token/,
      );
    });

  it('is not got from a server without TLS elsewhere with a password', async (context) => {
    const registry = await registryWithImage(context);
    registry.hook(({ path }, response) => {
      if (path === '/v2/') return false;
      response.setHeader('www-authenticate', 'Bearer realm="http://auth.example/token"');
      sendError(response, 401, 'UNAUTHORIZED', 'no');
      return true;
    });
    const source = openImage(context, registry, 'v1', { authFile: authFile(context, registry, ME) });
    await rejectsWith(source.document(undefined), 'registry-insecure', /auth\.example/);
  });
});

describe('a password', () => {
  async function withPassword(context: TestContext) {
    const registry = await registryWithImage(context);
    registry.hook(({ path, headers }, response) => {
      if (path === '/v2/' || headers.authorization === `Basic ${ME.auth}`) return false;
      response.setHeader('www-authenticate', 'Basic realm="x"');
      sendError(response, 401, 'UNAUTHORIZED', 'no');
      return true;
    });
    return registry;
  }

  it('is shown to a registry that wants it', async (context) => {
    const registry = await withPassword(context);
    await openImage(context, registry, 'v1', { authFile: authFile(context, registry, ME) }).document(undefined);
  });

  it('that is wrong or missing is an error, at once', async (context) => {
    const registry = await withPassword(context);
    const file = authFile(context, registry, { auth: Buffer.from('me:wrong').toString('base64') });
    await rejectsWith(
      openImage(context, registry, 'v1', { authFile: file }).document(undefined),
      'registry-denied',
      /401/,
    );
    assert.equal(registry.paths().filter((path) => path.includes('manifests')).length, 2);
    await rejectsWith(openImage(context, registry).document(undefined), 'registry-denied', /a user and a password/);
  });
});

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
    const environment = { HOME: home, XDG_RUNTIME_DIR: join(home, 'run') };
    const path = join(home, 'run', 'containers', 'auth.json');
    return { registry, environment, path, options: { environment, patience: IMPATIENT } };
  }

  it('is tried, kept for this user alone, and used', async (context) => {
    const { registry, environment, path, options } = await withLogin(context);
    await rejectsWith(logIn(registry.host, { user: 'me', password: 'wrong' }, options), 'registry-denied');
    assert.ok(!existsSync(path));
    const login = await logIn(registry.host, { user: 'me', password: 'secret' }, options);
    assert.deepEqual(login, { file: path, isTried: true });
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
    const login = await logIn(open.host, { user: 'me', password: 'wrong' }, options);
    assert.deepEqual(login, { file: path, isTried: false });
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

  it('waits for another until it is called off', async (context) => {
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
    assert.deepEqual(await logOut('docker.io', options), { had: true, others: [docker] });
    writeFileSync(join(environment.HOME, '.dockercfg'), '{');
    assert.deepEqual(await logOut('quay.io', options), { had: true, others: [docker] });
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

  it('that cannot be kept says where', async (context) => {
    const { registry, options } = await withLogin(context);
    // Nobody makes directories there, not even root.
    const authFile = '/proc/no-such-directory/auth.json';
    const logging = logIn(registry.host, { user: 'me', password: 'secret' }, { ...options, authFile });
    await rejectsWith(logging, 'auth-file-not-writable', /auth\.json cannot be written \(E\w+\); name another/);
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
