/** Manifests from a registry: what is asked for, and what is refused. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { chooseManifest } from '../../../../src/oci/choose-manifest.js';
import { MOST_DOCUMENT_BYTES } from '../../../../src/oci/limits.js';
import * as types from '../../../../src/oci/media-types.js';
import { readBody } from '../../../../src/oci/registry/answers.js';
import { openRegistry } from '../../../../src/oci/registry/registry.js';
import { parsePlatform } from '../../../../src/oci-names/platform.js';
import { parseReference } from '../../../../src/oci-names/reference.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { IMAGE, openImage, registryWithImage } from '../../../helpers/oci/asking.js';
import { testBlob, testImage, testIndex } from '../../../helpers/oci/image.js';
import { IMPATIENT, sendBlob, sendError } from '../../../helpers/oci/registry.js';
import { tarOf } from '../../../helpers/oci/tar.js';

const AMD64 = parsePlatform('linux/amd64');

describe('a manifest', () => {
  it('is asked for by all four types', async (context) => {
    const registry = await registryWithImage(context);
    const { bytes, digest } = await openImage(context, registry).document(undefined);
    assert.deepEqual([bytes, digest], [IMAGE.manifest.bytes, IMAGE.manifest.digest]);
    const request = registry.requests.at(-1);
    for (const type of types.ACCEPTED) assert.ok(request?.headers.accept?.includes(type));
    assert.equal(request?.headers.authorization, undefined);
  });

  it('is chosen from an index, also from one in another', async (context) => {
    const registry = await registryWithImage(context);
    const other = testImage([tarOf({ name: 'other' })], { architecture: 'arm64' });
    const inner = testIndex([
      { blob: testBlob(types.OCI_MANIFEST, { attestation: true }), platform: 'unknown/unknown' },
      { blob: IMAGE.manifest, platform: 'linux/amd64' },
    ]);
    const outer = testIndex([{ blob: other.manifest, platform: 'linux/arm64/v8' }, { blob: inner }]);
    registry.addBlob(...other.blobs, inner);
    registry.add(IMAGE, 'index', outer);
    const chosen = await chooseManifest(openImage(context, registry, 'index'), AMD64);
    assert.equal(chosen.document.digest, IMAGE.manifest.digest);
    assert.equal(chosen.top.digest, outer.digest);
    const source = openImage(context, registry, 'index');
    const arm = await chooseManifest(source, parsePlatform('arm64'));
    assert.equal(arm.document.digest, other.manifest.digest);
    await rejectsWith(
      chooseManifest(source, parsePlatform('s390x')),
      'platform-missing',
      /linux\/s390x, only for linux\/arm64\/v8, linux\/amd64;/,
    );
  });

  it('in an index that lists itself has an end', async (context) => {
    const registry = await registryWithImage(context);
    const innermost = testBlob(types.OCI_INDEX, { schemaVersion: 2, mediaType: types.OCI_INDEX, manifests: [] });
    let at = innermost;
    registry.addBlob(at);
    for (let depth = 0; depth < 4; depth += 1) {
      at = testIndex([{ blob: at }, { blob: innermost }]);
      registry.addBlob(at);
    }
    registry.add(IMAGE, 'deep', at);
    await rejectsWith(
      chooseManifest(openImage(context, registry, 'deep'), AMD64),
      'manifest-invalid',
      /within each other/,
    );
  });

  it('that is another than its digest says is refused', async (context) => {
    const registry = await registryWithImage(context);
    const wrong = testImage([tarOf({ name: 'wrong' })]);
    registry.hook(({ path }, response) => {
      if (!path.includes('manifests')) return false;
      sendBlob(response, wrong.manifest);
      return true;
    });
    const source = openRegistry(parseReference(`${registry.host}/test/image@${IMAGE.manifest.digest}`));
    context.after(() => source.close());
    await rejectsWith(source.document(undefined), 'digest-wrong', new RegExp(wrong.manifest.digest));
    await rejectsWith(
      openImage(context, registry).document({ ...IMAGE.config, platform: undefined, annotations: {} }),
      'blob-size-wrong',
    );
  });

  for (const [what, type, text, code, pattern] of [
    ['a login page', 'text/html; charset=utf-8', '<html>', 'registry-answer', /a web page/],
    ['a page that says to be JSON', 'application/json', '<html>', 'manifest-invalid', /no JSON object/],
    ['another type', types.OCI_INDEX, IMAGE.manifest.bytes.toString(), 'manifest-invalid', /inside/],
    ['a large answer', types.OCI_MANIFEST, ' '.repeat(MOST_DOCUMENT_BYTES + 1), 'registry-answer', /more than/],
  ] as const) {
    it(`that is ${what} is refused`, async (context) => {
      const registry = await registryWithImage(context);
      registry.hook(({ path }, response) => {
        if (!path.includes('manifests')) return false;
        // Without a length.
        response.writeHead(200, { 'content-type': type });
        response.write(text);
        response.end();
        return true;
      });
      await rejectsWith(chooseManifest(openImage(context, registry), AMD64), code, pattern);
    });
  }

  it('that is not there is named with what the registry says', async (context) => {
    const registry = await registryWithImage(context);
    await rejectsWith(
      openImage(context, registry, 'v2').document(undefined),
      'image-not-found',
      /:v2 .*MANIFEST_UNKNOWN/,
    );
  });

  it('is asked for again after 503, 429 and a broken connection', async (context) => {
    const registry = await registryWithImage(context);
    const answers = [503, 429, 0, 500];
    registry.hook(({ path }, response) => {
      const status = path.includes('manifests') ? answers.shift() : undefined;
      if (status === undefined) return false;
      if (status === 0) response.destroy();
      else response.writeHead(status, { 'retry-after': '0' }).end();
      return true;
    });
    assert.equal((await openImage(context, registry).document(undefined)).digest, IMAGE.manifest.digest);
    assert.equal(registry.paths().filter((path) => path.includes('manifests')).length, 5);
  });

  it('is not waited for if the registry asks for too long', async (context) => {
    const registry = await registryWithImage(context);
    registry.hook(({ path }, response) => {
      if (!path.includes('manifests')) return false;
      response.writeHead(429, { 'retry-after': '3600' });
      response.end();
      return true;
    });
    await rejectsWith(openImage(context, registry).document(undefined), 'registry-busy', /429/);
    assert.equal(registry.paths().filter((path) => path.includes('manifests')).length, 1);
  });

  it('is not asked for for ever', async (context) => {
    const registry = await registryWithImage(context);
    registry.hook(({ path }, response) => {
      if (!path.includes('manifests')) return false;
      sendError(response, 500, 'UNKNOWN', 'broken\n\u001b[31m');
      return true;
    });
    const error = await rejectsWith(
      openImage(context, registry).document(undefined),
      'registry-error',
      /UNKNOWN: broken/,
    );
    assert.ok(!error.line.includes('\u001b'));
    assert.equal(registry.paths().filter((path) => path.includes('manifests')).length, 5);
  });

  it('is not waited for for ever', async (context) => {
    const registry = await registryWithImage(context);
    registry.hook(({ path }) => path.includes('manifests'));
    const source = openImage(context, registry, 'v1', { patience: { ...IMPATIENT, silence: 50, attempts: 2 } });
    await rejectsWith(source.document(undefined), 'registry-unreachable', /does not answer/);
  });

  it('that comes a byte at a time is not waited for for ever', async () => {
    const drops = async function* () {
      for (;;) {
        await setImmediate();
        yield Buffer.from(' ');
      }
    };
    const body = Readable.from(drops());
    const answer = { status: 200, url: new URL('https://reg.example/'), body, header: () => undefined };
    const reading = readBody(answer, undefined, Number.POSITIVE_INFINITY, 20);
    await rejectsWith(reading, 'registry-unreachable', /reg\.example has sent no whole answer within 1 seconds/);
  });

  it('is not waited for any more when the work is cancelled', async (context) => {
    const registry = await registryWithImage(context);
    const controller = new AbortController();
    registry.hook(({ path }) => {
      if (!path.includes('manifests')) return false;
      controller.abort();
      return true;
    });
    await rejectsWith(openImage(context, registry).document(undefined, controller.signal), 'aborted');
  });
});
