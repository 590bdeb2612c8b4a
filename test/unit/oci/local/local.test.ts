/** Images of this host: directories, archives of others' tools, and a bare tar archive. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { chooseManifest } from '../../../../src/oci/choose-manifest.js';
import { parseConfig } from '../../../../src/oci/image-config.js';
import { openLocal } from '../../../../src/oci/local/local.js';
import { measureLayer } from '../../../../src/oci/local/measure.js';
import type { ImageSource } from '../../../../src/oci/source.js';
import { digestOf } from '../../../../src/oci-names/digest.js';
import { parsePlatform } from '../../../../src/oci-names/platform.js';
import { isLocalImage, parseRootImage } from '../../../../src/oci-names/root-image.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { type TestImage, testImage, testIndex, writeLayout } from '../../../helpers/oci/image.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const AMD64 = parsePlatform('amd64');
const LAYERS = [tarOf({ name: 'a', data: 'lower' }), tarOf({ name: 'a', data: 'upper' })];
const image = testImage(LAYERS);

async function open(context: TestContext, text: string, signal?: AbortSignal): Promise<ImageSource> {
  const parsed = parseRootImage(text);
  assert.ok(isLocalImage(parsed));
  const source = await openLocal(parsed, AMD64, signal);
  context.after(() => source.close());
  return source;
}

/** Reads a whole image, and checks that its blobs are what their digests say. */
async function readImage(source: ImageSource) {
  const { manifest, document } = await chooseManifest(source, AMD64);
  const blobs: Buffer[] = [];
  for (const descriptor of [manifest.config, ...manifest.layers]) {
    const pieces: Uint8Array[] = [];
    for await (const piece of source.blob(descriptor, 0)) pieces.push(piece);
    const blob = Buffer.concat(pieces);
    assert.deepEqual([digestOf(blob), blob.length], [descriptor.digest, descriptor.size]);
    const rest: Uint8Array[] = [];
    for await (const piece of source.blob(descriptor, 5)) rest.push(piece);
    assert.deepEqual(Buffer.concat(rest), blob.subarray(5));
    blobs.push(blob);
  }
  const [config = Buffer.alloc(0), ...layers] = blobs;
  return { manifest, document, config: parseConfig(config, manifest, source.name), layers };
}

function layoutOf(context: TestContext, ...tops: Parameters<typeof writeLayout>[2]): string {
  const directory = join(scratchDirectory(context), 'layout');
  writeLayout(directory, [...image.blobs, ...tops.map(({ blob }) => blob)], tops);
  return directory;
}

describe('an OCI image layout', () => {
  for (const kind of ['oci', 'oci-archive'] as const) {
    it(`in ${kind} has its image, by its tag if there are several`, async (context) => {
      const other = testIndex([{ blob: image.manifest, platform: 'linux/amd64' }]);
      const directory = layoutOf(context, { blob: image.manifest, tag: 'v1' }, { blob: other, tag: 'v2' });
      const archive = `${directory}.tar`;
      execFileSync('tar', ['-cf', archive, '-C', directory, '.']);
      const path = kind === 'oci' ? directory : archive;
      for (const tag of ['v1', 'v2']) {
        const { document, layers, config } = await readImage(await open(context, `${kind}:${path}:${tag}`));
        assert.equal(document.digest, image.manifest.digest);
        assert.deepEqual(
          layers,
          image.layers.map(({ bytes }) => bytes),
        );
        assert.deepEqual(config.command, ['/bin/true']);
      }
      const source = await open(context, `${kind}:${path}`);
      await rejectsWith(source.document(undefined), 'image-ambiguous', /2 images; it has 'v1', 'v2'/);
      const missing = await open(context, `${kind}:${path}:v3`);
      await rejectsWith(missing.document(undefined), 'image-not-found', /'v3'; it has 'v1', 'v2'/);
    });
  }

  it('may be one image, without a name', async (context) => {
    const source = await open(context, `oci:${layoutOf(context, { blob: image.manifest })}`);
    assert.equal((await readImage(source)).document.digest, image.manifest.digest);
  });

  it('must have what it names', async (context) => {
    const directory = layoutOf(context, { blob: image.manifest });
    const [layer] = image.layers;
    const blob = join(directory, 'blobs', ...(layer?.digest ?? '').split(':'));
    const readAll = async () => readImage(await open(context, `oci:${directory}`));
    truncateSync(blob, 10);
    await rejectsWith(readAll(), 'blob-size-wrong', /it has 10/);
    rmSync(blob);
    await rejectsWith(readAll(), 'blob-missing');
    symlinkSync('/etc/passwd', blob);
    await rejectsWith(readAll(), 'blob-missing');
    const manifest = join(directory, 'blobs', ...image.manifest.digest.split(':'));
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"schemaVersion":2', '"schemaVersion":3'));
    await rejectsWith(readAll(), 'digest-wrong');
    rmSync(join(directory, 'index.json'));
    await rejectsWith(readAll(), 'image-not-found', /no index\.json/);
  });
});

describe('an archive of docker save', () => {
  interface Saved {
    readonly Config: string;
    readonly RepoTags: readonly string[] | null;
    readonly Layers: readonly string[];
  }
  function save(context: TestContext, files: Readonly<Record<string, Uint8Array | { to: string }>>, manifest: unknown) {
    const directory = scratchDirectory(context);
    const tree = join(directory, 'tree');
    for (const [name, content] of Object.entries({
      ...files,
      'manifest.json': Buffer.from(JSON.stringify(manifest)),
    })) {
      mkdirSync(dirname(join(tree, name)), { recursive: true });
      if ('to' in content) symlinkSync(String(content.to), join(tree, name));
      else writeFileSync(join(tree, name), content);
    }
    const path = join(directory, 'saved.tar');
    execFileSync('tar', ['-cf', path, '-C', tree, '.']);
    return path;
  }
  const bare = (config: TestImage['config']) => config.bytes;
  const [lower = Buffer.alloc(0), upper = Buffer.alloc(0)] = LAYERS;
  const one: Saved = { Config: 'c.json', RepoTags: ['debian:13'], Layers: ['1/layer.tar', '2/layer.tar'] };
  const files = { 'c.json': bare(image.config), '1/layer.tar': lower, '2/layer.tar': upper };

  it('has its layers, plain, packed, or as links to others', async (context) => {
    const links = { ...files, '1/layer.tar': { to: '../x/lower' }, 'x/lower': gzipSync(lower) };
    for (const content of [files, links]) {
      const source = await open(context, `docker-archive:${save(context, content, [one])}`);
      const { config, layers } = await readImage(source);
      assert.deepEqual(config.command, ['/bin/true']);
      assert.deepEqual(layers.at(-1), upper);
    }
  });

  it('with several images has them by name', async (context) => {
    const path = save(context, files, [one, { ...one, RepoTags: ['other/name:v1'] }]);
    for (const name of ['debian:13', 'docker.io/library/debian:13', 'other/name:v1'])
      assert.equal((await readImage(await open(context, `docker-archive:${path}:${name}`))).layers.length, 2);
    await rejectsWith(open(context, `docker-archive:${path}`), 'image-ambiguous', /2 images; it has 'debian:13'/);
    await rejectsWith(open(context, `docker-archive:${path}:x`), 'image-not-found', /'x'; it has 'debian:13'/);
  });

  for (const [what, content, manifest, code] of [
    ['without a manifest', files, undefined, 'archive-invalid'],
    ['with another manifest', files, { a: 1 }, 'archive-invalid'],
    ['without its config', { '1/layer.tar': lower }, [one], 'archive-invalid'],
    ['without a layer', { ...files, '1/layer.tar': { to: 'nowhere' } }, [one], 'archive-invalid'],
    ['with links in a circle', { ...files, '1/layer.tar': { to: '../1/layer.tar' } }, [one], 'archive-invalid'],
    ['with a layer too few', files, [{ ...one, Layers: ['1/layer.tar'] }], 'archive-invalid'],
    ['without images', files, [], 'image-ambiguous'],
  ] as const) {
    it(`${what} is refused`, async (context) => {
      await rejectsWith(open(context, `docker-archive:${save(context, content, manifest ?? 0)}`), code);
    });
  }

  it('that is packed says so', async (context) => {
    const path = save(context, files, [one]);
    writeFileSync(path, gzipSync(readFileSync(path)));
    await rejectsWith(open(context, `docker-archive:${path}`), 'archive-invalid', /is packed; unpack it first/);
  });
});

describe('a tar archive as a root', () => {
  const tar = tarOf({ name: 'bin/', type: '5' }, { name: 'bin/sh', data: 'x'.repeat(100_000), mode: 0o755 });

  it('is an image of one layer, plain or packed', async (context) => {
    const directory = scratchDirectory(context);
    const zstd = execFileSync('zstd', ['-qc'], { input: tar });
    for (const [name, content] of [
      ['plain', tar],
      ['gzip', gzipSync(tar)],
      ['zstd', zstd],
    ] as const) {
      writeFileSync(join(directory, name), content);
      const { config, layers } = await readImage(await open(context, `tar:${join(directory, name)}`));
      assert.deepEqual(layers, [content]);
      assert.deepEqual(config.diffIds, [digestOf(tar)]);
      assert.equal(config.platform.architecture, 'amd64');
    }
  });

  it('is not unpacked without an end', async () => {
    const bomb = gzipSync(Buffer.alloc(10_000_000));
    const measure = (most: number) => {
      const content = async function* () {
        yield bomb;
      };
      return measureLayer(bomb.subarray(0, 8), content(), '/x/bomb', most);
    };
    await rejectsWith(measure(9_999_999), 'layer-too-large', /'\/x\/bomb' unpacks to more than 9999999 bytes/);
    assert.equal((await measure(10_000_000)).compression, 'gzip');
  });

  it('must be there, and be one', async (context) => {
    const directory = scratchDirectory(context);
    const path = (name: string, content: string | Buffer) => {
      writeFileSync(join(directory, name), content);
      return `tar:${join(directory, name)}`;
    };
    await rejectsWith(open(context, `tar:${directory}/missing`), 'image-not-found');
    await rejectsWith(open(context, `tar:${directory}`), 'image-unreadable', /no regular file/);
    await rejectsWith(
      open(context, path('xz', Buffer.from('fd377a585a0000', 'hex'))),
      'archive-invalid',
      /gzip or zstd/,
    );
    await rejectsWith(open(context, path('gz', gzipSync(tar).subarray(0, 100))), 'archive-invalid', /is damaged/);
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    await rejectsWith(open(context, `tar:${directory}/fifo`), 'image-unreadable');
    const signal = AbortSignal.abort();
    await rejectsWith(open(context, path('plain', tar), signal), 'aborted');
  });
});
