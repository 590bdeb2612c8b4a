/** Pushing to a registry that does what none should: it leads uploads elsewhere, redirects them, or breaks off. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { PushTarget } from '../../../../src/oci/registry/push-target.js';
import { digestOf } from '../../../../src/oci-names/digest.js';
import { parseReference } from '../../../../src/oci-names/reference.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { IMPATIENT, imageIn, startRegistry, type TestRegistry } from '../../../helpers/oci/registry.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const BYTES = Buffer.alloc(300_000, 'content');
const AUTH = Buffer.from('me:secret').toString('base64');
const CONTENT = {
  digest: digestOf(BYTES, 'sha256'),
  size: BYTES.length,
  open: async function* () {
    yield BYTES;
  },
};

function targetIn(context: TestContext, registry: TestRegistry): PushTarget {
  const home = scratchDirectory(context);
  const authFile = join(home, 'auth.json');
  writeFileSync(authFile, JSON.stringify({ auths: { [registry.host]: { auth: AUTH } } }));
  const options = { environment: { HOME: home }, authFile, patience: IMPATIENT };
  const target = new PushTarget(parseReference(imageIn(registry, 'v1')), options);
  context.after(() => target.close());
  return target;
}

/** The registry wants a password, and has uploads sent to `location`. */
function leadTo(registry: TestRegistry, location: string): void {
  registry.hook(({ method, headers }, response) => {
    if (headers.authorization === undefined)
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
    else if (method === 'POST') response.writeHead(202, { location }).end();
    else return false;
    return true;
  });
}

describe('a push to a hostile registry', () => {
  it('gives the password to no host that an upload is led to, also if that asks', async (context) => {
    const [registry, other] = [await startRegistry(context), await startRegistry(context)];
    leadTo(registry, `http://me:secret@${other.host}/upload?state=1`);
    other.hook((_, response) => {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
      return true;
    });
    await rejectsWith(targetIn(context, registry).storeBlob(CONTENT), 'registry-denied', /may not be written/);
    assert.ok(registry.requests.some(({ headers }) => headers.authorization === `Basic ${AUTH}`));
    const [upload, ...more] = other.requests;
    assert.equal(more.length, 0);
    assert.equal(upload?.path, `/upload?state=1&digest=${encodeURIComponent(CONTENT.digest)}`);
    assert.equal(upload.headers.authorization, undefined);
  });

  it('asks for one token that reads and writes, whatever is asked of it first', async (context) => {
    const registry = await startRegistry(context);
    const tokens: string[] = [];
    registry.hook(({ path, method, headers }, response) => {
      const realm = `http://${registry.host}/token`;
      const challenge = `Bearer realm="${realm}",service="a",scope="repository:test/image:pull"`;
      if (path === '/v2/') return false;
      if (path.startsWith('/token')) response.end(JSON.stringify({ token: `good${tokens.push(path)}` }));
      else if (headers.authorization !== 'Bearer good1')
        response.writeHead(401, { 'www-authenticate': challenge }).end();
      else if (method === 'POST') response.writeHead(202, { location: '/upload' }).end();
      else response.writeHead(method === 'PUT' ? 201 : 404).end();
      return true;
    });
    assert.equal(await targetIn(context, registry).storeBlob(CONTENT), BYTES.length);
    assert.deepEqual(tokens, ['/token?service=a&scope=repository%3Atest%2Fimage%3Apull%2Cpush']);
  });

  it('uploads to no other scheme, and not without an address', async (context) => {
    for (const location of ['https://127.0.0.1:1/', 'file:///etc/passwd', 'http://[', '']) {
      const registry = await startRegistry(context);
      leadTo(registry, location);
      await rejectsWith(targetIn(context, registry).storeBlob(CONTENT), 'registry-answer', /no address for an upload/);
      assert.ok(!registry.requests.some(({ method }) => method === 'PUT'), location);
    }
  });

  it('follows no redirect with what it writes', async (context) => {
    const [registry, other] = [await startRegistry(context), await startRegistry(context)];
    registry.hook(({ method }, response) => {
      if (method === 'HEAD' || method === 'GET') return false;
      response.writeHead(307, { location: `http://${other.host}/` }).end();
      return true;
    });
    await rejectsWith(targetIn(context, registry).storeBlob(CONTENT), 'registry-error', /answers 307/);
    await rejectsWith(targetIn(context, registry).storeManifest(Buffer.from('{}'), 'text/plain'), 'registry-error');
    assert.deepEqual(other.requests, []);
  });

  it('sends all of a blob anew after an upload that failed or broke off', async (context) => {
    const registry = await startRegistry(context);
    leadTo(registry, '/upload');
    let puts = 0;
    registry.hook(({ method, headers }, response) => {
      if (method !== 'PUT' || headers.authorization === undefined) return false;
      puts += 1;
      if (puts === 1) response.writeHead(503).end();
      else if (puts === 2) response.destroy();
      else response.writeHead(201).end();
      return true;
    });
    assert.equal(await targetIn(context, registry).storeBlob(CONTENT), BYTES.length);
    const bodies = registry.requests.filter(({ method }) => method === 'PUT').map(({ body }) => body);
    assert.equal(bodies.length, 3);
    for (const body of bodies) assert.ok(body === BYTES.toString());
    assert.equal(
      registry.requests.filter(({ method, headers }) => method === 'POST' && headers.authorization).length,
      3,
    );
  });

  it('ends with an error at a registry that always breaks off, or that takes nothing', async (context) => {
    const breaking = await startRegistry(context);
    leadTo(breaking, '/upload');
    breaking.hook(({ method }, response) => {
      if (method === 'PUT') response.destroy();
      return method === 'PUT';
    });
    await rejectsWith(targetIn(context, breaking).storeBlob(CONTENT), 'registry-unreachable');
    await rejectsWith(targetIn(context, await startRegistry(context)).storeBlob(CONTENT), 'registry-error', /404/);
  });
});
