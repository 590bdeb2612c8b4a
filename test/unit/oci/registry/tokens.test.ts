/** Registries that want to know who asks: tokens and passwords. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { rejectsWith } from '../../../helpers/errors.js';
import { authFile, ME, openImage, registryWithImage } from '../../../helpers/oci/asking.js';
import { sendError } from '../../../helpers/oci/registry.js';

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
