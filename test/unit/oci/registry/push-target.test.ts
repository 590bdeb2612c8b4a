/** Putting things into Debian's registry, read back as an image. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PushTarget } from '../../../../src/oci/registry/push-target.js';
import { openRegistry } from '../../../../src/oci/registry/registry.js';
import { digestOf } from '../../../../src/oci-names/digest.js';
import { parseReference } from '../../../../src/oci-names/reference.js';
import { rejectsWith, throwsWith } from '../../../helpers/errors.js';
import { startDebianRegistry, unlessDebianRegistry } from '../../../helpers/oci/debian-registry.js';
import { testImage } from '../../../helpers/oci/image.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** bcrypt of `secret`. */
const HTPASSWD = 'me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';
const PATIENCE = { connect: 2000, firstPause: 1, attempts: 2 };

const contentOf = (bytes: Buffer) => ({
  digest: digestOf(bytes, 'sha256'),
  size: bytes.length,
  open: async function* () {
    for (let at = 0; at < bytes.length; at += 60_000) yield bytes.subarray(at, at + 60_000);
  },
});

describe('a push target', { skip: unlessDebianRegistry() }, () => {
  const image = testImage([randomBytes(5_000_000)], { compression: 'none' });
  const [layer] = image.layers;
  assert.ok(layer !== undefined);

  it('puts blobs and a manifest, which an image is read from, and no blob twice', async (context) => {
    const { host } = await startDebianRegistry(context);
    const environment = { HOME: scratchDirectory(context) };
    const reference = parseReference(`${host}/a/b:v1`);
    const target = new PushTarget(reference, { environment });
    context.after(() => target.close());
    const blobs = [layer, image.config];
    for (const { bytes } of blobs) assert.equal(await target.storeBlob(contentOf(bytes)), bytes.length);
    for (const { bytes } of blobs) assert.equal(await target.storeBlob(contentOf(bytes)), 0);
    const { bytes, mediaType, digest } = image.manifest;
    assert.equal(await target.storeManifest(bytes, mediaType), digest);

    const source = openRegistry(reference, { environment });
    context.after(() => source.close());
    assert.deepEqual((await source.document(undefined)).bytes, bytes);
    const pieces: Uint8Array[] = [];
    const descriptor = {
      digest: layer.digest,
      size: layer.bytes.length,
      mediaType: layer.mediaType,
      platform: undefined,
      annotations: {},
    };
    for await (const piece of source.blob(descriptor, 0)) pieces.push(piece);
    assert.ok(Buffer.concat(pieces).equals(layer.bytes));
  });

  it('is refused without the password, and says that it is about writing', async (context) => {
    const { host } = await startDebianRegistry(context, { htpasswd: HTPASSWD });
    const home = scratchDirectory(context);
    const open = (authFile?: string) => {
      const target = new PushTarget(parseReference(`${host}/a/b:v1`), { environment: { HOME: home }, authFile });
      context.after(() => target.close());
      return target.storeBlob(contentOf(layer.bytes));
    };
    await rejectsWith(open(), 'registry-denied', /a\/b may not be written/);
    const authFile = join(home, 'auth.json');
    const auth = Buffer.from('me:secret').toString('base64');
    writeFileSync(authFile, JSON.stringify({ auths: { [host]: { auth } } }));
    assert.equal(await open(authFile), layer.bytes.length);
  });

  it('is refused with content of another digest or size, or that cannot be read', async (context) => {
    const { host } = await startDebianRegistry(context);
    const environment = { HOME: scratchDirectory(context) };
    const target = new PushTarget(parseReference(`${host}/a/b:v1`), { environment, patience: PATIENCE });
    context.after(() => target.close());
    const content = contentOf(randomBytes(200_000));
    const other = digestOf(Buffer.from('other'), 'sha256');
    await rejectsWith(target.storeBlob({ ...content, digest: other }), 'registry-error', /cannot be written.*DIGEST/);
    for (const size of [content.size + 1, content.size - 1])
      await rejectsWith(target.storeBlob({ ...content, size }), 'content-changed');
    const unreadable = async function* () {
      yield Buffer.alloc(1000);
      throw new RangeError('source');
    };
    await assert.rejects(target.storeBlob({ ...content, open: unreadable }), RangeError);
    assert.equal(await target.storeBlob(content), content.size);
    await rejectsWith(target.storeManifest(Buffer.from('{}'), 'application/json'), 'registry-error', /written/);
  });

  it('takes no digest', () => {
    const reference = parseReference(`localhost:5000/a@${digestOf(Buffer.from('x'), 'sha256')}`);
    throwsWith(() => new PushTarget(reference), 'reference-digest');
  });
});
