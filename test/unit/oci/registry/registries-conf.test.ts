/** What registries.conf says of registries: mirrors, other locations, no TLS, none at all. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { RegistryOptions } from '../../../../src/oci/registry/options.js';
import { settingsFor } from '../../../../src/oci/registry/registries-conf.js';
import { openRegistry } from '../../../../src/oci/registry/registry.js';
import { parseReference } from '../../../../src/oci-names/reference.js';
import { IMAGE, openImage, registryWithImage } from '../../../helpers/oci/asking.js';
import { testImage } from '../../../helpers/oci/image.js';
import { IMPATIENT, startRegistry } from '../../../helpers/oci/registry.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

/** Options of a user who has that file. */
function withFile(context: TestContext, text: string): RegistryOptions & { environment: NodeJS.ProcessEnv } {
  const directory = scratchDirectory(context);
  const path = join(directory, 'registries.conf');
  writeFileSync(path, text);
  return { patience: IMPATIENT, environment: { HOME: directory, CONTAINERS_REGISTRIES_CONF: path } };
}

function mirrored(context: TestContext, registry: string, mirror: string) {
  return withFile(
    context,
    `[[registry]]\nlocation = "${registry}"\n[[registry.mirror]]\nlocation = "${mirror}"\ninsecure = true\n`,
  );
}

describe('a mirror', () => {
  it('is asked first, and the registry when it has not got it', async (context) => {
    const [registry, mirror] = [await registryWithImage(context), await startRegistry(context)];
    registry.add(IMAGE, 'v2');
    mirror.addBlob(...IMAGE.blobs);
    const source = openImage(context, registry, 'v2', mirrored(context, registry.host, mirror.host));
    assert.equal((await source.document(undefined)).digest, IMAGE.manifest.digest);
    assert.equal(mirror.requests.length, 2);
    const pieces: Uint8Array[] = [];
    for await (const piece of source.blob({ ...IMAGE.config, platform: undefined, annotations: {} }, 0))
      pieces.push(piece);
    assert.deepEqual(Buffer.concat(pieces), IMAGE.config.bytes);
    assert.equal(mirror.requests.length, 3);
    assert.ok(!registry.paths().some((path) => path.includes('blobs')));
  });

  it('has its images below a prefix', async (context) => {
    const [registry, mirror] = [await registryWithImage(context), await startRegistry(context)];
    await openImage(context, registry, 'v1', mirrored(context, registry.host, `${mirror.host}/cache/x`)).document(
      undefined,
    );
    assert.ok(mirror.paths().includes('/v2/cache/x/test/image/manifests/v1'));
  });

  it('must be one', async (context) => {
    const registry = await registryWithImage(context);
    const options = mirrored(context, registry.host, 'http://x/');
    assert.throws(() => openImage(context, registry, 'v1', options), { code: 'location-invalid' });
  });

  it('of one registry is not asked for the images of another', async (context) => {
    const [registry, mirror] = [await registryWithImage(context), await startRegistry(context)];
    // The same name, and another image.
    mirror.add(testImage([tarOf({ name: 'other' })]), 'v1');
    const options = mirrored(context, 'docker.io', mirror.host);
    const { digest } = await openImage(context, registry, 'v1', options).document(undefined);
    assert.equal(digest, IMAGE.manifest.digest);
    assert.deepEqual(mirror.paths(), []);
  });

  it('that is dead is asked once', async (context) => {
    const [registry, mirror] = [await registryWithImage(context), await startRegistry(context)];
    mirror.hook((_request, response) => {
      response.destroy();
      return true;
    });
    const source = openImage(context, registry, 'v1', mirrored(context, registry.host, mirror.host));
    for (let times = 0; times < 3; times += 1)
      assert.equal((await source.document(undefined)).digest, IMAGE.manifest.digest);
    assert.deepEqual(mirror.paths(), ['/v2/']);
  });
});

describe('a registry', () => {
  it('that is blocked is not asked', async (context) => {
    const options = withFile(context, '[[registry]]\nprefix = "example.com/bad"\nblocked = true\n');
    assert.throws(() => openRegistry(parseReference('example.com/bad/image'), options), {
      code: 'registry-blocked',
      message: /example.com\/bad/,
    });
    openRegistry(parseReference('example.com/badly/image'), options);
  });

  it('that is blocked for a tag, or with a slash at the end, is not asked either', (context) => {
    const block = (prefix: string) => withFile(context, `[[registry]]\nprefix = "${prefix}"\nblocked = true\n`);
    const open = (reference: string, prefix: string) => openRegistry(parseReference(reference), block(prefix));
    for (const [reference, prefix] of [
      ['debian:12', 'docker.io/library/debian:12'],
      ['debian', 'Docker.io/'],
      [`a.example/b@sha256:${'0'.repeat(64)}`, 'a.example/b'],
    ] as const)
      assert.throws(() => open(reference, prefix), { code: 'registry-blocked' });
    for (const [reference, prefix] of [
      ['debian:13', 'docker.io/library/debian:12'],
      ['a.example:5000/b', 'a.example'],
    ] as const)
      open(reference, prefix);
  });

  it('of any host of a domain has its images at one place', async (context) => {
    const registry = await registryWithImage(context);
    const options = withFile(context, `[[registry]]\nprefix = "*.corp.example"\nlocation = "${registry.host}"\n`);
    const source = openRegistry(parseReference('a.corp.example/test/image:v1'), options);
    context.after(() => source.close());
    assert.equal((await source.document(undefined)).digest, IMAGE.manifest.digest);
  });

  it('has its images elsewhere', async (context) => {
    const registry = await registryWithImage(context);
    const options = withFile(context, `[[registry]]\nprefix = "example.com/a"\nlocation = "${registry.host}/test"\n`);
    const source = openRegistry(parseReference('example.com/a/image:v1'), options);
    context.after(() => source.close());
    assert.equal((await source.document(undefined)).digest, IMAGE.manifest.digest);
    assert.equal(source.name, 'example.com/a/image:v1');
  });

  it('is what the longest prefix says', (context) => {
    const { environment } = withFile(
      context,
      ['a.example', 'a.example/b', 'a.example/b/c', '*.example']
        .map((prefix) => `[[registry]]\nprefix = "${prefix}"\nlocation = "${prefix.length}.example"\n`)
        .join(''),
    );
    const prefixOf = (name: string) => settingsFor(name, environment)?.prefix;
    assert.equal(prefixOf('a.example/b/c/d'), 'a.example/b/c');
    assert.equal(prefixOf('a.example/b/cd'), 'a.example/b');
    assert.equal(prefixOf('a.example/x'), 'a.example');
    assert.equal(prefixOf('z.example:5000/x'), '*.example');
    assert.equal(prefixOf('example/x'), undefined);
  });
});

describe('a mirror for digests only', () => {
  for (const [name, text] of [
    ['of all mirrors', (host: string) => `mirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "${host}"`],
    ['of its own', (host: string) => `[[registry.mirror]]\nlocation = "${host}"\npull-from-mirror = "digest-only"`],
  ] as const)
    it(`does not say what a tag means: ${name}`, async (context) => {
      const [registry, mirror] = [await registryWithImage(context), await startRegistry(context)];
      mirror.add(testImage([tarOf({ name: 'other' })]), 'v1');
      const options = withFile(context, `[[registry]]\nlocation = "${registry.host}"\n${text(mirror.host)}\n`);
      const { digest } = await openImage(context, registry, 'v1', options).document(undefined);
      assert.equal(digest, IMAGE.manifest.digest);
      assert.deepEqual(mirror.paths(), []);
      mirror.add(IMAGE, 'v1');
      const named = parseReference(`${registry.host}/test/image@${IMAGE.manifest.digest}`);
      const source = openRegistry(named, options);
      context.after(() => source.close());
      await source.document(undefined);
      assert.ok(mirror.paths().length > 0);
    });
});

describe('registries.conf', () => {
  it('of the user is read in place of that of the system, and files beside it count too', (context) => {
    const home = scratchDirectory(context);
    const directory = join(home, '.config', 'containers');
    mkdirSync(join(directory, 'registries.conf.d'), { recursive: true });
    const environment = { HOME: home, XDG_CONFIG_HOME: join(home, '.config') };
    writeFileSync(join(directory, 'registries.conf'), '[[registry]]\nlocation = "one.example"\ninsecure = true\n');
    assert.equal(settingsFor('one.example/x', environment)?.isInsecure, true);
    writeFileSync(join(directory, 'registries.conf.d', '9.conf'), '[[registry]]\nlocation = "one.example"\n');
    assert.equal(settingsFor('one.example/x', environment)?.isInsecure, false);
    assert.equal(settingsFor('other.example/x', environment), undefined);
  });

  for (const [text, why] of [
    ['[[registry]', /line 1 is no TOML/],
    ['[[registry]]\ninsecure = "yes"', /registry.0.insecure has another type/],
    ['[[registry]]\nblocked = true', /neither prefix nor location/],
  ] as const)
    it(`that cannot be read is refused: ${why}`, (context) => {
      const { environment } = withFile(context, text);
      assert.throws(() => settingsFor('a.example/x', environment), { code: 'registries-conf-invalid', message: why });
    });

  it('may be a link, and a link to nothing takes one away', (context) => {
    const directory = scratchDirectory(context);
    writeFileSync(join(directory, 'real'), '[[registry]]\nlocation = "a.example"\n');
    symlinkSync('real', join(directory, 'link'));
    symlinkSync('/dev/null', join(directory, 'null'));
    const found = (name: string) => settingsFor('a.example/x', { CONTAINERS_REGISTRIES_CONF: join(directory, name) });
    assert.equal(found('link')?.prefix, 'a.example');
    assert.equal(found('null'), undefined);
  });

  it('must be there if it is named', (context) => {
    const environment = { CONTAINERS_REGISTRIES_CONF: join(scratchDirectory(context), 'none') };
    assert.throws(() => settingsFor('a.example/x', environment), { message: /it is not there/ });
  });

  it('of others is none of root’s', { skip: unlessRoot('gives files away') }, (context) => {
    const { environment } = withFile(context, '[[registry]]\nlocation = "a.example"\n');
    const path = environment['CONTAINERS_REGISTRIES_CONF'] ?? '';
    chownSync(path, 65_534, 65_534);
    chmodSync(path, 0o644);
    assert.throws(() => settingsFor('a.example/x', environment), { message: /belongs to user 65534/ });
  });
});
