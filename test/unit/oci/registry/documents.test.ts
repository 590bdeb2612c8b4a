/** Manifests from a registry: what is asked for, and what is refused. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { chooseManifest } from '../../../../src/oci/choose-manifest.js';
import { MOST_DOCUMENT_BYTES } from '../../../../src/oci/limits.js';
import * as types from '../../../../src/oci/media-types.js';
import { parsePlatform } from '../../../../src/oci/platform.js';
import { parseReference } from '../../../../src/oci/reference.js';
import type { RegistryOptions } from '../../../../src/oci/registry/options.js';
import { openRegistry } from '../../../../src/oci/registry/registry.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { testBlob, testImage, testIndex } from '../../../helpers/oci/image.js';
import {
  IMPATIENT,
  imageIn,
  sendBlob,
  sendError,
  startRegistry,
  type TestRegistry,
} from '../../../helpers/oci/registry.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const image = testImage([tarOf({ name: 'file', data: 'content' })]);
const AMD64 = parsePlatform('linux/amd64');

function open(context: TestContext, registry: TestRegistry, tag = 'v1', options: RegistryOptions = {}) {
  const environment = { HOME: scratchDirectory(context), PATH: process.env['PATH'] };
  const source = openRegistry(parseReference(imageIn(registry, tag)), { patience: IMPATIENT, environment, ...options });
  context.after(() => source.close());
  return source;
}

/** A registry with the image as `v1`. */
async function withImage(context: TestContext): Promise<TestRegistry> {
  const registry = await startRegistry(context);
  registry.add(image, 'v1');
  return registry;
}

/** An auth file for a registry. */
function authFile(context: TestContext, registry: TestRegistry, entry: object): string {
  const path = join(scratchDirectory(context), 'auth.json');
  writeFileSync(path, JSON.stringify({ auths: { [registry.host]: entry } }));
  return path;
}
const ME = { auth: Buffer.from('me:secret').toString('base64') };

describe('a manifest', () => {
  it('is asked for by all four types', async (context) => {
    const registry = await withImage(context);
    const { bytes, digest } = await open(context, registry).document(undefined);
    assert.deepEqual([bytes, digest], [image.manifest.bytes, image.manifest.digest]);
    const request = registry.requests.at(-1);
    for (const type of types.ACCEPTED) assert.ok(request?.headers.accept?.includes(type));
    assert.equal(request?.headers.authorization, undefined);
  });

  it('is chosen from an index, also from one in another', async (context) => {
    const registry = await withImage(context);
    const other = testImage([tarOf({ name: 'other' })], { architecture: 'arm64' });
    const inner = testIndex([
      { blob: testBlob(types.OCI_MANIFEST, { attestation: true }), platform: 'unknown/unknown' },
      { blob: image.manifest, platform: 'linux/amd64' },
    ]);
    const outer = testIndex([{ blob: other.manifest, platform: 'linux/arm64/v8' }, { blob: inner }]);
    registry.addBlob(...other.blobs, inner);
    registry.add(image, 'index', outer);
    const chosen = await chooseManifest(open(context, registry, 'index'), AMD64);
    assert.equal(chosen.document.digest, image.manifest.digest);
    assert.equal(chosen.top.digest, outer.digest);
    const source = open(context, registry, 'index');
    const arm = await chooseManifest(source, parsePlatform('arm64'));
    assert.equal(arm.document.digest, other.manifest.digest);
    await rejectsWith(
      chooseManifest(source, parsePlatform('s390x')),
      'platform-missing',
      /linux\/s390x, only for linux\/arm64\/v8, linux\/amd64;/,
    );
  });

  it('in an index that lists itself has an end', async (context) => {
    const registry = await withImage(context);
    const innermost = testBlob(types.OCI_INDEX, { schemaVersion: 2, mediaType: types.OCI_INDEX, manifests: [] });
    let at = innermost;
    registry.addBlob(at);
    for (let depth = 0; depth < 4; depth += 1) {
      at = testIndex([{ blob: at }, { blob: innermost }]);
      registry.addBlob(at);
    }
    registry.add(image, 'deep', at);
    await rejectsWith(chooseManifest(open(context, registry, 'deep'), AMD64), 'manifest-invalid', /within each other/);
  });

  it('that is another than its digest says is refused', async (context) => {
    const registry = await withImage(context);
    const wrong = testImage([tarOf({ name: 'wrong' })]);
    registry.hook(({ path }, response) => {
      if (!path.includes('manifests')) return false;
      sendBlob(response, wrong.manifest);
      return true;
    });
    const source = openRegistry(parseReference(`${registry.host}/test/image@${image.manifest.digest}`));
    context.after(() => source.close());
    await rejectsWith(source.document(undefined), 'digest-wrong', new RegExp(wrong.manifest.digest));
    await rejectsWith(
      open(context, registry).document({ ...image.config, platform: undefined, annotations: {} }),
      'blob-size-wrong',
    );
  });

  for (const [what, type, text, code, pattern] of [
    ['a login page', 'text/html; charset=utf-8', '<html>', 'registry-answer', /a web page/],
    ['a page that says to be JSON', 'application/json', '<html>', 'manifest-invalid', /no JSON object/],
    ['another type', types.OCI_INDEX, image.manifest.bytes.toString(), 'manifest-invalid', /inside/],
    ['a large answer', types.OCI_MANIFEST, ' '.repeat(MOST_DOCUMENT_BYTES + 1), 'registry-answer', /more than/],
  ] as const) {
    it(`that is ${what} is refused`, async (context) => {
      const registry = await withImage(context);
      registry.hook(({ path }, response) => {
        if (!path.includes('manifests')) return false;
        // Without a length.
        response.writeHead(200, { 'content-type': type });
        response.write(text);
        response.end();
        return true;
      });
      await rejectsWith(chooseManifest(open(context, registry), AMD64), code, pattern);
    });
  }

  it('that is not there is named with what the registry says', async (context) => {
    const registry = await withImage(context);
    await rejectsWith(open(context, registry, 'v2').document(undefined), 'image-not-found', /:v2 .*MANIFEST_UNKNOWN/);
  });

  it('is asked for again after 503, 429 and a broken connection', async (context) => {
    const registry = await withImage(context);
    const answers = [503, 429, 0, 500];
    registry.hook(({ path }, response) => {
      const status = path.includes('manifests') ? answers.shift() : undefined;
      if (status === undefined) return false;
      if (status === 0) response.destroy();
      else response.writeHead(status, { 'retry-after': '0' }).end();
      return true;
    });
    assert.equal((await open(context, registry).document(undefined)).digest, image.manifest.digest);
    assert.equal(registry.paths().filter((path) => path.includes('manifests')).length, 5);
  });

  it('is not waited for if the registry asks for too long', async (context) => {
    const registry = await withImage(context);
    registry.hook(({ path }, response) => {
      if (!path.includes('manifests')) return false;
      response.writeHead(429, { 'retry-after': '3600' });
      response.end();
      return true;
    });
    await rejectsWith(open(context, registry).document(undefined), 'registry-busy', /429/);
    assert.equal(registry.paths().filter((path) => path.includes('manifests')).length, 1);
  });

  it('is not asked for for ever', async (context) => {
    const registry = await withImage(context);
    registry.hook(({ path }, response) => {
      if (!path.includes('manifests')) return false;
      sendError(response, 500, 'UNKNOWN', 'broken\n\u001b[31m');
      return true;
    });
    const error = await rejectsWith(open(context, registry).document(undefined), 'registry-error', /UNKNOWN: broken/);
    assert.ok(!error.line.includes('\u001b'));
    assert.equal(registry.paths().filter((path) => path.includes('manifests')).length, 5);
  });

  it('is not waited for for ever', async (context) => {
    const registry = await withImage(context);
    registry.hook(({ path }) => path.includes('manifests'));
    const source = open(context, registry, 'v1', { patience: { ...IMPATIENT, silence: 50, attempts: 2 } });
    await rejectsWith(source.document(undefined), 'registry-unreachable', /does not answer/);
  });

  it('is not waited for any more when the work is called off', async (context) => {
    const registry = await withImage(context);
    const controller = new AbortController();
    registry.hook(({ path }) => {
      if (!path.includes('manifests')) return false;
      controller.abort();
      return true;
    });
    await rejectsWith(open(context, registry).document(undefined, controller.signal), 'aborted');
  });
});

describe('a token', () => {
  /** A registry that wants a token, with a token server in it. */
  async function withTokens(context: TestContext, token: (n: number) => object) {
    const registry = await withImage(context);
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
    const source = open(context, registry);
    await source.document(undefined);
    await source.document(undefined);
    assert.deepEqual(given, ['/token?x=1&service=a+b&scope=repository%3Atest%2Fimage%3Apull']);
  });

  it('is got again when it is at its end', async (context) => {
    const { registry, given } = await withTokens(context, (n) => ({ access_token: `good${n}`, expires_in: 1 }));
    const source = open(context, registry);
    await source.document(undefined);
    await source.document(undefined);
    assert.equal(given.length, 2);
  });

  it('is got with a user and a password', async (context) => {
    const { registry } = await withTokens(context, () => ({ token: 'good' }));
    await open(context, registry, 'v1', { authFile: authFile(context, registry, ME) }).document(undefined);
    const [request] = registry.requests.filter(({ path }) => path.startsWith('/token'));
    assert.equal(request?.headers.authorization, `Basic ${ME.auth}`);
  });

  it('is got with an identity token', async (context) => {
    const { registry } = await withTokens(context, () => ({ access_token: 'good' }));
    const file = authFile(context, registry, { identitytoken: 'i+d' });
    await open(context, registry, 'v1', { authFile: file }).document(undefined);
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

  it('that is not taken is not shown again', async (context) => {
    const { registry, given } = await withTokens(context, () => ({ token: 'bad' }));
    await rejectsWith(open(context, registry).document(undefined), 'registry-denied', /401.*UNAUTHORIZED/);
    assert.equal(given.length, 1);
    assert.equal(registry.paths().filter((path) => path.includes('manifests')).length, 2);
  });

  for (const answer of [{}, { token: 'a\r\nb: c' }, { token: 1 }, []])
    it(`that is ${JSON.stringify(answer)} is none`, async (context) => {
      const { registry } = await withTokens(context, () => answer);
      await rejectsWith(open(context, registry).document(undefined), 'registry-answer', /something else than a token/);
    });

  it('is not got from a server without TLS elsewhere with a password', async (context) => {
    const registry = await withImage(context);
    registry.hook(({ path }, response) => {
      if (path === '/v2/') return false;
      response.setHeader('www-authenticate', 'Bearer realm="http://auth.example/token"');
      sendError(response, 401, 'UNAUTHORIZED', 'no');
      return true;
    });
    const source = open(context, registry, 'v1', { authFile: authFile(context, registry, ME) });
    await rejectsWith(source.document(undefined), 'registry-insecure', /auth\.example/);
  });
});

describe('a password', () => {
  async function withPassword(context: TestContext) {
    const registry = await withImage(context);
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
    await open(context, registry, 'v1', { authFile: authFile(context, registry, ME) }).document(undefined);
  });

  it('that is wrong or missing is an error, at once', async (context) => {
    const registry = await withPassword(context);
    const file = authFile(context, registry, { auth: Buffer.from('me:wrong').toString('base64') });
    await rejectsWith(open(context, registry, 'v1', { authFile: file }).document(undefined), 'registry-denied', /401/);
    assert.equal(registry.paths().filter((path) => path.includes('manifests')).length, 2);
    await rejectsWith(open(context, registry).document(undefined), 'registry-denied', /a user and a password/);
  });
});

describe('a mirror', () => {
  it('is asked first, and the registry when it has not got it', async (context) => {
    const [registry, mirror] = [await withImage(context), await startRegistry(context)];
    registry.add(image, 'v2');
    mirror.addBlob(...image.blobs);
    const source = open(context, registry, 'v2', { mirrors: [mirror.host] });
    assert.equal((await source.document(undefined)).digest, image.manifest.digest);
    assert.equal(mirror.requests.length, 2);
    const pieces: Uint8Array[] = [];
    for await (const piece of source.blob({ ...image.config, platform: undefined, annotations: {} }, 0))
      pieces.push(piece);
    assert.deepEqual(Buffer.concat(pieces), image.config.bytes);
    assert.equal(mirror.requests.length, 3);
    assert.ok(!registry.paths().some((path) => path.includes('blobs')));
  });

  it('has its images below a prefix', async (context) => {
    const [registry, mirror] = [await withImage(context), await startRegistry(context)];
    await open(context, registry, 'v1', { mirrors: [`${mirror.host}/cache/x`] }).document(undefined);
    assert.ok(mirror.paths().includes('/v2/cache/x/test/image/manifests/v1'));
  });

  it('must be one', async (context) => {
    const registry = await withImage(context);
    assert.throws(() => open(context, registry, 'v1', { mirrors: ['http://x/'] }), { code: 'mirror-invalid' });
  });
});
