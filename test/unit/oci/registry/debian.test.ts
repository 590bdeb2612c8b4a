/** A registry that others have written. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { chooseManifest } from '../../../../src/oci/choose-manifest.js';
import { openRegistry } from '../../../../src/oci/registry/registry.js';
import { parsePlatform } from '../../../../src/oci-names/platform.js';
import { parseReference } from '../../../../src/oci-names/reference.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { startDebianRegistry, unlessDebianRegistry } from '../../../helpers/oci/debian-registry.js';
import { testImage, testIndex } from '../../../helpers/oci/image.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** bcrypt of `secret`. */
const HTPASSWD = 'me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';

const image = testImage([tarOf({ name: 'file', data: 'content' })], { compression: 'zstd' });
const index = testIndex([{ blob: image.manifest, platform: 'linux/amd64' }]);

describe("Debian's registry", { skip: unlessDebianRegistry() }, () => {
  it('has an index, a manifest, a config and a layer', async (context) => {
    const registry = await startDebianRegistry(context);
    await registry.push('test/image', 'v1', image, index);
    const environment = { HOME: scratchDirectory(context) };
    const source = openRegistry(parseReference(`${registry.host}/test/image:v1`), { environment });
    context.after(() => source.close());
    const { manifest, top } = await chooseManifest(source, parsePlatform('amd64'));
    assert.equal(top.digest, index.digest);
    for (const [descriptor, bytes] of [
      [manifest.config, image.config.bytes],
      [manifest.layers[0], image.layers[0]?.bytes],
    ] as const) {
      assert.ok(descriptor !== undefined && bytes !== undefined);
      for (const from of [0, 10]) {
        const pieces: Uint8Array[] = [];
        for await (const piece of source.blob(descriptor, from)) pieces.push(piece);
        assert.deepEqual(Buffer.concat(pieces), bytes.subarray(from));
      }
    }
  });

  it('wants its password', async (context) => {
    const registry = await startDebianRegistry(context, { htpasswd: HTPASSWD });
    await registry.push('test/image', 'v1', image);
    const home = scratchDirectory(context);
    const open = (authFile?: string) => {
      const reference = parseReference(`${registry.host}/test/image:v1`);
      const source = openRegistry(reference, { environment: { HOME: home }, authFile });
      context.after(() => source.close());
      return source.document(undefined);
    };
    await rejectsWith(open(), 'registry-denied');
    const authFile = join(home, 'auth.json');
    const auth = Buffer.from('me:secret').toString('base64');
    writeFileSync(authFile, JSON.stringify({ auths: { [registry.host]: { auth } } }));
    assert.equal((await open(authFile)).digest, image.manifest.digest);
  });
});
