/** Manifests, indexes, configs and platforms. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../../src/oci/image-config.js';
import { MOST_BLOB_BYTES, MOST_DOCUMENT_BYTES, MOST_LAYERS } from '../../../src/oci/limits.js';
import { type Manifest, parseDocument } from '../../../src/oci/manifest.js';
import * as types from '../../../src/oci/media-types.js';
import { DigestCheck, digestOf, parseDigest } from '../../../src/oci-names/digest.js';
import {
  fitness,
  hostPlatform,
  parsePlatform,
  platformMissing,
  platformText,
} from '../../../src/oci-names/platform.js';
import { throwsWith } from '../../helpers/errors.js';

const digest = digestOf(Buffer.from('content'));
const config = { mediaType: types.OCI_CONFIG, digest, size: 10 };
const layer = { mediaType: `${types.OCI_LAYER}+gzip`, digest, size: 20 };
const manifest = { schemaVersion: 2, mediaType: types.OCI_MANIFEST, config, layers: [layer] };

function parse(value: object, declared: string | undefined = undefined) {
  return parseDocument(Buffer.from(JSON.stringify(value)), declared, 'image x');
}

it('a digest is checked over its pieces', () => {
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const check = new DigestCheck(digestOf(Buffer.from('content'), algorithm));
    check.update(Buffer.from('con'));
    check.update(Buffer.from('tent'));
    assert.ok(check.finish().matches);
  }
  const other = new DigestCheck(digest);
  other.update(Buffer.from('other'));
  assert.deepEqual(other.finish(), { matches: false, actual: digestOf(Buffer.from('other')) });
  assert.equal(parseDigest(digest), digest);
});

describe('a manifest', () => {
  it('has its config and layers', () => {
    const parsed = parse(manifest, types.OCI_MANIFEST);
    assert.ok(parsed.kind === 'manifest');
    assert.equal(parsed.config.digest, digest);
    assert.deepEqual(
      parsed.layers.map(({ compression, size }) => [compression, size]),
      [['gzip', 20]],
    );
  });

  it('of Docker says the same', () => {
    const parsed = parse(
      {
        ...manifest,
        mediaType: types.DOCKER_MANIFEST,
        config: { ...config, mediaType: types.DOCKER_CONFIG },
        layers: [{ ...layer, mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip' }],
      },
      types.DOCKER_MANIFEST,
    );
    assert.ok(parsed.kind === 'manifest' && parsed.layers[0]?.compression === 'gzip');
  });

  it('without a type inside has that of its sender', () => {
    const { mediaType: _own, ...bare } = manifest;
    assert.equal(parse(bare, types.OCI_MANIFEST).kind, 'manifest');
    throwsWith(() => parse(bare), 'manifest-invalid');
  });

  for (const [what, value, code, pattern] of [
    ['of another type than declared', { ...manifest, mediaType: types.OCI_INDEX }, 'manifest-invalid', /inside/],
    ['without a size', { ...manifest, layers: [{ ...layer, size: undefined }] }, 'manifest-invalid', /layers\.0\.size/],
    ['with a negative size', { ...manifest, layers: [{ ...layer, size: -1 }] }, 'manifest-invalid', /layers\.0\.size/],
    ['with a huge size', { ...manifest, layers: [{ ...layer, size: 2 ** 50 }] }, 'manifest-invalid', /layers\.0\.size/],
    ['with half a byte', { ...manifest, layers: [{ ...layer, size: 1.5 }] }, 'manifest-invalid', /layers\.0\.size/],
    [
      'with a bad digest',
      { ...manifest, config: { ...config, digest: 'sha256:x' } },
      'manifest-invalid',
      /config\.dig/,
    ],
    ['with a large config', { ...manifest, config: { ...config, size: 2 ** 30 } }, 'manifest-invalid', /its config/],
    [
      'of an artifact',
      { ...manifest, config: { ...config, mediaType: 'application/x' } },
      'image-artifact',
      /artifact/,
    ],
    [
      'with a strange layer',
      { ...manifest, layers: [{ ...layer, mediaType: 'text/x' }] },
      'layer-type-unknown',
      /layer 1/,
    ],
    [
      'with a foreign layer',
      { ...manifest, layers: [{ ...layer, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' }] },
      'layer-foreign',
      /layer 1 of image x/,
    ],
    [
      'with too many layers',
      { ...manifest, layers: Array.from({ length: MOST_LAYERS + 1 }, () => layer) },
      'manifest-invalid',
      /layers/,
    ],
    [
      'with too many bytes',
      { ...manifest, layers: Array.from({ length: 3 }, () => ({ ...layer, size: MOST_BLOB_BYTES })) },
      'manifest-invalid',
      /its layers/,
    ],
    ['of the first schema', { schemaVersion: 1, fsLayers: [] }, 'manifest-too-old', /first schema/],
  ] as const) {
    it(`${what} is refused`, () => {
      throwsWith(() => parse(value, types.OCI_MANIFEST), code, pattern);
    });
  }

  for (const text of ['', '[]', 'null', '"x"', '{', '<html>', '[['.repeat(100_000)])
    it(`is not ${JSON.stringify(text.slice(0, 12))}`, () => {
      throwsWith(() => parseDocument(Buffer.from(text), types.OCI_MANIFEST, 'image x'), 'manifest-invalid');
    });

  it('is bounded', () => {
    throwsWith(() => parse({ ...manifest, x: 'x'.repeat(MOST_DOCUMENT_BYTES) }), 'manifest-invalid', /more than/);
  });
});

it('an index lists images and indexes only', () => {
  const entry = { mediaType: types.OCI_MANIFEST, digest, size: 1 };
  const index = parse({
    schemaVersion: 2,
    mediaType: types.OCI_INDEX,
    manifests: [
      { ...entry, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
      { ...entry, mediaType: 'application/x' },
      { ...entry, mediaType: types.OCI_INDEX },
    ],
  });
  assert.ok(index.kind === 'index');
  assert.deepEqual(
    index.manifests.map(({ mediaType, platform }) => [mediaType, platform && platformText(platform)]),
    [
      [types.OCI_MANIFEST, 'linux/arm64/v8'],
      [types.OCI_INDEX, undefined],
    ],
  );
});

describe('a config', () => {
  const whole = {
    os: 'linux',
    architecture: 'amd64',
    config: {
      Entrypoint: ['/entry'],
      Cmd: null,
      Env: ['A=b=c'],
      User: '1:2',
      Volumes: { '/data': {} },
      ExposedPorts: { '80/tcp': {} },
    },
    rootfs: { type: 'layers', diff_ids: [digest] },
    history: [{ created_by: 'x' }, { empty_layer: true }],
  };
  const of = (value: object) => parseConfig(Buffer.from(JSON.stringify(value)), parse(manifest) as Manifest, 'image x');

  it('has what the image runs', () => {
    const parsed = of(whole);
    assert.deepEqual([parsed.entrypoint, parsed.command, parsed.environment], [['/entry'], [], ['A=b=c']]);
    assert.deepEqual([parsed.volumes, parsed.exposedPorts, parsed.user], [['/data'], ['80/tcp'], '1:2']);
    assert.deepEqual(
      parsed.history.map(({ isEmpty }) => isEmpty),
      [false, true],
    );
  });

  it('may have nothing to run', () => assert.deepEqual(of({ ...whole, config: undefined }).entrypoint, []));

  it('must have a digest for each layer', () => {
    throwsWith(() => of({ ...whole, rootfs: { type: 'layers', diff_ids: [] } }), 'config-invalid', /1 layers.*names 0/);
  });

  it('has a working directory below the root, and what signals and ports are called', () => {
    assert.equal(of({ ...whole, config: { WorkingDir: 'app/x' } }).workingDirectory, '/app/x');
    assert.equal(of({ ...whole, config: { WorkingDir: '/app' } }).workingDirectory, '/app');
    assert.equal(of({ ...whole, config: {} }).workingDirectory, '');
    for (const signal of ['SIGTERM', 'QUIT', 'sigint', '9', '37', 'SIGRTMIN+3', 'RTMAX-14', 'SIGRTMIN'])
      assert.equal(of({ ...whole, config: { StopSignal: signal } }).stopSignal, signal);
    const ports = ['443/tcp', '53/udp', '65535/TCP', '80', '8000-8010/tcp'];
    const exposed = Object.fromEntries(ports.map((port) => [port, {}]));
    assert.deepEqual(of({ ...whole, config: { ExposedPorts: exposed } }).exposedPorts, ports);
    assert.deepEqual(of({ ...whole, config: { Env: ['A', 'a.b-c=d='] } }).environment, ['A', 'a.b-c=d=']);
  });

  for (const [config, pattern] of [
    [{ Cmd: ['/x', 'a\0b'] }, /^image: the config of image x has a NUL character in its Cmd; use another tag/],
    [{ Env: ['A=\0'] }, /NUL character in its Env/],
    [{ User: '\0' }, /NUL character in its User/],
    [{ WorkingDir: '/a\0' }, /NUL character in its WorkingDir/],
    [{ Volumes: { '/a\0': {} } }, /NUL character in its Volumes/],
    [{ Entrypoint: ['x'.repeat(131_072)] }, /more than 131071 bytes in its Entrypoint/],
    [{ Env: ['=x'] }, /variable without a name: '=x'/],
    [{ Env: [''] }, /variable without a name: ''/],
    [{ StopSignal: 'SIGNONE' }, /signal 'SIGNONE'/],
    [{ StopSignal: '0' }, /signal '0'/],
    [{ StopSignal: '65' }, /signal '65'/],
    [{ StopSignal: 'SIGRTMIN+31' }, /signal 'SIGRTMIN\+31'/],
    [{ StopSignal: 'constructor' }, /signal 'constructor'/],
    [{ ExposedPorts: { '0/tcp': {} } }, /port '0\/tcp'/],
    [{ ExposedPorts: { '65536/tcp': {} } }, /port '65536\/tcp'/],
    [{ ExposedPorts: { '90-80/tcp': {} } }, /port '90-80\/tcp'/],
    [{ ExposedPorts: { '80/http': {} } }, /port '80\/http'/],
  ] as const)
    it(`with ${JSON.stringify(config).slice(0, 50)} is refused`, () => {
      throwsWith(() => of({ ...whole, config }), 'config-invalid', pattern);
    });

  it('with a field of another kind is refused', () => {
    throwsWith(() => of({ ...whole, config: { Env: 'A=b' } }), 'manifest-invalid', /config\.Env/);
  });
});

describe('an error', () => {
  const long = 'x'.repeat(100_000);

  it('shows little of what a document says', () => {
    const entry = { mediaType: types.OCI_MANIFEST, digest, size: 1 };
    for (const value of [
      { ...manifest, schemaVersion: long },
      { ...manifest, config: { ...config, annotations: { [long]: 1 } } },
      { ...manifest, layers: [{ ...layer, size: long }] },
      { schemaVersion: 2, mediaType: types.OCI_INDEX, manifests: [{ ...entry, platform: { os: long } }] },
    ]) {
      const { line } = throwsWith(() => parse(value), 'manifest-invalid');
      assert.ok(line.length < 1000, `${line.length}`);
    }
  });

  it('lists some platforms, and says how many more there are', () => {
    const there = Array.from({ length: 1000 }, (_, at) => ({ os: 'a b', architecture: `${at}`, variant: undefined }));
    const { line } = platformMissing(there, hostPlatform('x64'), 'image x');
    assert.match(line, /for linux\/amd64, only for 'a b\/0', .* and 990 more;/);
    assert.ok(line.length < 1000, `${line.length}`);
  });
});

describe('a platform', () => {
  it('is that of the host, in the words of Go', () => {
    assert.equal(platformText(hostPlatform('x64')), 'linux/amd64');
    assert.equal(platformText(hostPlatform('arm64')), 'linux/arm64');
  });

  it('is read from --platform', () => {
    for (const [text, whole] of [
      ['amd64', 'linux/amd64'],
      ['linux/x86_64', 'linux/amd64'],
      ['arm64/v8', 'linux/arm64/v8'],
      ['Linux/ARM/v7', 'linux/arm/v7'],
    ] as const)
      assert.equal(platformText(parsePlatform(text)), whole);
    for (const text of ['', 'linux', 'linux/', 'a/b/c/d', 'windows/amd64/x', 'linux/a b'])
      throwsWith(() => parsePlatform(text), 'platform-invalid');
  });

  it('serves another one by its variant', () => {
    const best = (wanted: string, ...there: string[]) => {
      const fits = there.map((text) => fitness(parsePlatform(text), parsePlatform(wanted)));
      return Math.max(...fits) === 0 ? undefined : there[fits.indexOf(Math.max(...fits))];
    };
    assert.equal(best('amd64', 'amd64/v3', 'amd64/v1'), 'amd64/v1');
    assert.equal(best('amd64', 'amd64/v3', 'amd64'), 'amd64');
    assert.equal(best('amd64', 'amd64/v3', 'arm64'), undefined);
    assert.equal(best('amd64/v3', 'amd64', 'amd64/v2'), 'amd64/v2');
    assert.equal(best('arm', 'arm/v5', 'arm/v6', 'arm64/v8'), 'arm/v6');
    assert.equal(best('arm64', 'arm64/v8'), 'arm64/v8');
  });
});
