/** Blobs from a registry: whole, in pieces, from elsewhere, and too short or too long. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Descriptor } from '../../../../src/oci/manifest.js';
import { OCI_LAYER } from '../../../../src/oci/media-types.js';
import type { RegistryOptions } from '../../../../src/oci/registry/options.js';
import { openRegistry } from '../../../../src/oci/registry/registry.js';
import { parseReference } from '../../../../src/oci-names/reference.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { testBlob } from '../../../helpers/oci/image.js';
import {
  IMPATIENT,
  imageIn,
  sendBlob,
  sendError,
  startRegistry,
  type TestRegistry,
} from '../../../helpers/oci/registry.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const layer = testBlob(OCI_LAYER, randomBytes(300_000));
const descriptor: Descriptor = { ...layer, platform: undefined, annotations: {} };

/** A registry with the blob, and a function that reads it. */
async function withBlob(context: TestContext, options: RegistryOptions = {}) {
  const registry = await startRegistry(context);
  registry.addBlob(layer);
  const environment = { HOME: scratchDirectory(context) };
  const source = openRegistry(parseReference(imageIn(registry, 'v1')), {
    patience: IMPATIENT,
    environment,
    ...options,
  });
  context.after(() => source.close());
  const read = async (from = 0, signal?: AbortSignal) => {
    const pieces: Uint8Array[] = [];
    for await (const piece of source.blob(descriptor, from, signal)) pieces.push(piece);
    return Buffer.concat(pieces);
  };
  return { registry, read };
}

function blobRequests({ requests }: TestRegistry) {
  return requests.filter(({ path }) => path.includes('blobs'));
}

describe('a blob', () => {
  it('comes whole, or from an offset on', async (context) => {
    const { registry, read } = await withBlob(context);
    assert.deepEqual(await read(), layer.bytes);
    assert.deepEqual(await read(1000), layer.bytes.subarray(1000));
    assert.deepEqual(
      blobRequests(registry).map(({ headers }) => [headers.range, headers['accept-encoding']]),
      [
        [undefined, 'identity'],
        ['bytes=1000-', 'identity'],
      ],
    );
  });

  it('is gone on with where it broke off', async (context) => {
    const { registry, read } = await withBlob(context);
    let answers = 0;
    registry.hook(({ path, headers }, response) => {
      answers += path.includes('blobs') ? 1 : 0;
      if (!path.includes('blobs') || answers > 3) return false;
      const from = Number(/\d+/.exec(headers.range ?? '')?.[0] ?? 0);
      response.writeHead(from === 0 ? 200 : 206, {
        'content-length': layer.size - from,
        ...(from === 0 ? {} : { 'content-range': `bytes ${from}-${layer.size - 1}/${layer.size}` }),
      });
      response.write(layer.bytes.subarray(from, from + 70_000), () => response.destroy());
      return true;
    });
    assert.deepEqual(await read(), layer.bytes);
    assert.equal(blobRequests(registry).length, 4);
  });

  it('comes also from a registry that knows no ranges', async (context) => {
    const { registry, read } = await withBlob(context);
    let answers = 0;
    registry.hook(({ path }, response) => {
      if (!path.includes('blobs')) return false;
      answers += 1;
      response.writeHead(200, { 'content-length': layer.size });
      if (answers > 1) response.end(layer.bytes);
      else response.write(layer.bytes.subarray(0, 100_000), () => response.destroy());
      return true;
    });
    assert.deepEqual(await read(), layer.bytes);
    assert.deepEqual(await read(299_999), layer.bytes.subarray(299_999));
  });

  it('that stops again and again is too short', async (context) => {
    const { registry, read } = await withBlob(context);
    registry.hook(({ path, headers }, response) => {
      if (!path.includes('blobs')) return false;
      const from = Number(/\d+/.exec(headers.range ?? '')?.[0] ?? 0);
      const part = layer.bytes.subarray(from, 1000);
      response.writeHead(from === 0 ? 200 : 206, {
        'transfer-encoding': 'chunked',
        ...(from === 0 ? {} : { 'content-range': `bytes ${from}-${layer.size - 1}/${layer.size}` }),
      });
      response.end(part);
      return true;
    });
    await rejectsWith(read(), 'blob-truncated', /after 1000 of 300000 bytes/);
    assert.equal(blobRequests(registry).length, 1 + 5 - 1);
  });

  it('that never goes on is too short', async (context) => {
    const { registry, read } = await withBlob(context, { patience: { ...IMPATIENT, silence: 50, attempts: 2 } });
    registry.hook(({ path }, response) => {
      if (!path.includes('blobs')) return false;
      response.writeHead(200, { 'content-length': layer.size });
      response.write(layer.bytes.subarray(0, 10));
      return true;
    });
    await rejectsWith(read(), 'blob-truncated', /after 10 of/);
  });

  it('that comes a byte at a time is too short', async (context) => {
    const patience = { ...IMPATIENT, silence: 100, least: 1000, attempts: 3 };
    const { registry, read } = await withBlob(context, { patience });
    registry.hook(({ path }, response) => {
      if (!path.includes('blobs')) return false;
      response.writeHead(200, { 'content-length': layer.size });
      const drops = setInterval(() => response.write(Buffer.alloc(1)), 5);
      response.on('close', () => clearInterval(drops));
      return true;
    });
    await rejectsWith(read(), 'blob-truncated', /of 300000 bytes/);
    assert.equal(blobRequests(registry).length, 3);
  });

  it('of which each answer brings a byte is too short', async (context) => {
    const { registry, read } = await withBlob(context);
    registry.hook(({ path, headers }, response) => {
      if (!path.includes('blobs')) return false;
      const from = Number(/\d+/.exec(headers.range ?? '')?.[0] ?? 0);
      response.writeHead(from === 0 ? 200 : 206, {
        'transfer-encoding': 'chunked',
        ...(from === 0 ? {} : { 'content-range': `bytes ${from}-${layer.size - 1}/${layer.size}` }),
      });
      response.end(layer.bytes.subarray(from, from + 1));
      return true;
    });
    await rejectsWith(read(), 'blob-truncated', /after 5 of 300000 bytes/);
  });

  for (const length of [10, 10_000_000])
    it(`that is said to have ${length} bytes is refused at once`, async (context) => {
      const { registry, read } = await withBlob(context);
      registry.hook(({ path }, response) => {
        if (!path.includes('blobs')) return false;
        response.writeHead(200, { 'content-length': length });
        response.end(layer.bytes.subarray(0, length));
        return true;
      });
      await rejectsWith(read(), 'blob-size-wrong', new RegExp(`300000 bytes, and .* has ${length}`));
      assert.equal(blobRequests(registry).length, 1);
    });

  it('that goes on for ever has one byte too many, and no more', async (context) => {
    const { registry, read } = await withBlob(context);
    registry.hook(({ path }, response) => {
      if (!path.includes('blobs')) return false;
      response.writeHead(200, { 'transfer-encoding': 'chunked' });
      const more = () => {
        if (!response.destroyed) response.write(Buffer.alloc(65_536), more);
      };
      more();
      return true;
    });
    assert.equal((await read()).length, layer.size + 1);
  });

  for (const range of ['bytes 1001-299999/300000', 'bytes 2000-2999/*', 'lines 1000-2000/300000', ''])
    it(`with the range ${JSON.stringify(range)} is not the one that was asked for`, async (context) => {
      const { registry, read } = await withBlob(context);
      registry.hook(({ path }, response) => {
        if (!path.includes('blobs')) return false;
        response.writeHead(206, { 'content-range': range });
        response.end(layer.bytes);
        return true;
      });
      await rejectsWith(read(1000), 'registry-answer', /other bytes/);
    });

  it('of another size by its range is refused', async (context) => {
    const { registry, read } = await withBlob(context);
    registry.hook(({ path }, response) => {
      if (!path.includes('blobs')) return false;
      response.writeHead(206, { 'content-range': 'bytes 1000-1999/2000' });
      response.end(layer.bytes);
      return true;
    });
    await rejectsWith(read(1000), 'blob-size-wrong', /has 2000/);
  });

  it('that is not there is an error', async (context) => {
    const { registry, read } = await withBlob(context);
    registry.hook(({ path }, response) => {
      if (!path.includes('blobs')) return false;
      sendError(response, 404, 'BLOB_UNKNOWN', 'gone');
      return true;
    });
    await rejectsWith(read(), 'image-not-found', /BLOB_UNKNOWN: gone/);
  });

  it('is not read on when the work is cancelled', async (context) => {
    const { registry, read } = await withBlob(context);
    const controller = new AbortController();
    registry.hook(({ path }, response) => {
      if (!path.includes('blobs')) return false;
      response.writeHead(200, { 'content-length': layer.size });
      response.write(layer.bytes.subarray(0, 10), () => controller.abort());
      return true;
    });
    await rejectsWith(read(0, controller.signal), 'aborted');
  });
});

describe('a redirect', () => {
  const redirect = (registry: TestRegistry, to: () => string, status = 307) =>
    registry.hook(({ path }, response) => {
      if (!path.includes('blobs')) return false;
      response.writeHead(status, { location: to() });
      response.end();
      return true;
    });

  for (const status of [301, 302, 303, 307, 308])
    it(`${status} to another host is followed without the password`, async (context) => {
      const auth = Buffer.from('me:secret').toString('base64');
      const file = join(scratchDirectory(context), 'auth.json');
      const { registry, read } = await withBlob(context, { authFile: file });
      writeFileSync(file, JSON.stringify({ auths: { [registry.host]: { auth } } }));
      const store = await startRegistry(context);
      store.hook(({ headers }, response) => {
        sendBlob(response, layer, headers.range);
        return true;
      });
      redirect(registry, () => `http://${store.host}/data?signature=x`, status);
      registry.hook(({ path, headers }, response) => {
        if (!path.includes('blobs') || headers.authorization !== undefined) return false;
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' });
        response.end();
        return true;
      });
      assert.deepEqual(await read(), layer.bytes);
      assert.equal(blobRequests(registry).at(-1)?.headers.authorization, `Basic ${auth}`);
      assert.deepEqual(
        store.requests.map(({ path, headers }) => [path, headers.authorization]),
        [['/data?signature=x', undefined]],
      );
    });

  it('to a host that wants a password is not followed with it', async (context) => {
    const file = join(scratchDirectory(context), 'auth.json');
    const { registry, read } = await withBlob(context, { authFile: file });
    const store = await startRegistry(context);
    const auth = Buffer.from('me:secret').toString('base64');
    writeFileSync(file, JSON.stringify({ auths: { [registry.host]: { auth }, [store.host]: { auth } } }));
    store.hook((_request, response) => {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${store.host}/token"` });
      response.end();
      return true;
    });
    redirect(registry, () => `http://${store.host}/data`);
    await rejectsWith(read(), 'registry-denied', /401/);
    assert.deepEqual(store.paths(), ['/data']);
  });

  for (const to of ['https://127.0.0.1:1/x', 'file:///etc/passwd', 'ftp://host.example/x', 'http://[', 'javascript:1'])
    it(`to ${to} is not followed`, async (context) => {
      const { registry, read } = await withBlob(context);
      redirect(registry, () => to);
      await rejectsWith(read(), 'registry-redirect', /redirects to/);
    });

  it('to nowhere, or round and round, is not followed', async (context) => {
    const { registry, read } = await withBlob(context);
    redirect(registry, () => '');
    await rejectsWith(read(), 'registry-redirect');
    redirect(registry, () => registry.paths().at(-1) ?? '');
    await rejectsWith(read(), 'registry-redirect', /more than 5 times/);
  });
});
