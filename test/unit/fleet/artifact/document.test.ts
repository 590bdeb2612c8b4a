/** The manifest of a boot image in a registry: what is written, and what is taken for one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_SLOTS } from '../../../../src/config/parsers/slots.js';
import {
  ARTIFACT_TYPE,
  artifactBytes,
  EMPTY_CONFIG,
  LAYER_TYPE,
  type PackedFile,
  parseArtifact,
  snapshotAnnotations,
} from '../../../../src/fleet/artifact/document.js';
import { MOST_SNAPSHOTS, TITLE } from '../../../../src/fleet/artifact/files.js';
import { IMAGE_FORMAT, type Manifest, sealManifest } from '../../../../src/image/manifest.js';
import type { SnapshotRecord } from '../../../../src/image/snapshot/record.js';
import { MOST_DOCUMENT_BYTES } from '../../../../src/oci/limits.js';
import type { Descriptor } from '../../../../src/oci/manifest.js';
import { DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from '../../../../src/oci/media-types.js';
import { digestOf } from '../../../../src/oci-names/digest.js';
import type { SandboxError } from '../../../../src/util/errors.js';
import { throwsWith } from '../../../helpers/errors.js';
import { ARTIFACT, layerNamed } from '../../../helpers/fleet-layers.js';
import { descriptorOf, testBlob, testImage, testIndex } from '../../../helpers/oci/image.js';
import { tarOf } from '../../../helpers/oci/tar.js';

const NOTHING = { size: 0, sha256: '0'.repeat(64) };
const MANIFEST: Manifest = sealManifest({
  format: IMAGE_FORMAT,
  kernel: { version: '6.12.1-test', file: 'vmlinux', reason: 'test', source: { ...NOTHING, format: 'bzimage' } },
  init: NOTHING,
  sets: ['9p', 'virtiofs'],
  features: [],
  modules: [],
  compression: 'none',
  commonInit: 'host',
  kernelArguments: [],
  files: [],
});

const RECORD: SnapshotRecord = {
  format: 1,
  image: MANIFEST.id,
  sets: MANIFEST.sets,
  memory: 512 << 20,
  vcpus: 2,
  acceleration: 'kvm',
  slots: DEFAULT_SLOTS,
  machine: 'test',
  host: {},
  needs: {
    QEMU: { text: '10.0.2' },
    libvirt: { text: '11.3.0', sha256: 'x' },
    "the host's processor": { text: 'Xeon' },
  },
  owner: 0,
  files: [],
  ready: {},
};

const FILES: readonly PackedFile[] = [
  { path: 'manifest.json', digest: digestOf(Buffer.from('a')), size: 1 },
  { path: 'warm/0/warm.json', digest: digestOf(Buffer.from('b')), size: 2, annotations: { note: 'text' } },
];

const read = (bytes: Buffer, mediaType?: string): readonly Descriptor[] =>
  parseArtifact({ bytes, digest: digestOf(bytes), mediaType }, ARTIFACT);

/** The manifest of a boot image, with other fields. */
function changed(fields: object): Buffer {
  const whole = JSON.parse(artifactBytes(MANIFEST, [], FILES).toString()) as object;
  return Buffer.from(JSON.stringify({ ...whole, ...fields }));
}

function refused(code: string, bytes: Buffer | string, pattern: RegExp, mediaType?: string): SandboxError {
  const error = throwsWith(
    () => read(Buffer.from(bytes), mediaType),
    code,
    /^image: registry\.test\/boot:v1 /,
    pattern,
  );
  assert.doesNotMatch(error.line, /\p{Cc}/u);
  return error;
}

/** The annotations without the prefix that all keys have. */
function withoutPrefix(annotations: Readonly<Record<string, string>>): Record<string, string> {
  const prefix = /^io\.libvirt-sandbox\.boot-image\.(?=[a-z]+$)/;
  return Object.fromEntries(
    Object.entries(annotations).map(([key, value]) => {
      assert.match(key, prefix);
      return [key.replace(prefix, ''), value];
    }),
  );
}

describe('the manifest of a boot image', () => {
  it('has these bytes', () => {
    const [first, second] = FILES;
    const emptyDigest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
    const type = 'application/vnd.libvirt-sandbox.boot-image.file.v1+zstd';
    const own = 'io.libvirt-sandbox.boot-image';
    const expected = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      artifactType: 'application/vnd.libvirt-sandbox.boot-image.v1',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: emptyDigest, size: 2 },
      layers: [
        { mediaType: type, digest: first?.digest, size: 1, annotations: { [TITLE]: 'manifest.json' } },
        {
          mediaType: type,
          digest: second?.digest,
          size: 2,
          annotations: { [TITLE]: 'warm/0/warm.json', note: 'text' },
        },
      ],
      annotations: { [`${own}.id`]: MANIFEST.id, [`${own}.kernel`]: '6.12.1-test', [`${own}.sets`]: '9p,virtiofs' },
    };
    assert.equal(artifactBytes(MANIFEST, [], FILES).toString(), JSON.stringify(expected));
    assert.equal(EMPTY_CONFIG.toString(), '{}');
  });

  it('is the same for the same files and snapshots', () => {
    const records = [RECORD, { ...RECORD, acceleration: 'tcg' as const }];
    const again = artifactBytes(structuredClone(MANIFEST), structuredClone(records), structuredClone(FILES));
    assert.deepEqual(again, artifactBytes(MANIFEST, records, FILES));
  });

  it('says of its snapshots what they need, each once', () => {
    const records = [RECORD, { ...RECORD, acceleration: 'tcg' as const, needs: undefined }, { ...RECORD, vcpus: 1 }];
    const { annotations } = JSON.parse(artifactBytes(MANIFEST, records, FILES).toString()) as {
      annotations: Record<string, string>;
    };
    const { id: _id, kernel: _kernel, sets: _sets, ...needs } = withoutPrefix(annotations);
    assert.deepEqual(needs, {
      accelerator: 'kvm; tcg',
      qemu: '10.0.2',
      libvirt: '11.3.0',
      cpu: 'Xeon',
      memory: '536870912',
      vcpus: '2; 1',
    });
  });

  it('is read as the layers that were written', () => {
    const expected = FILES.map(({ path, digest, size, annotations }) => ({
      ...layerNamed(path, size),
      digest,
      annotations: { [TITLE]: path, ...annotations },
    }));
    const bytes = artifactBytes(MANIFEST, [RECORD], FILES);
    assert.deepEqual(read(bytes), expected);
    assert.deepEqual(read(bytes, OCI_MANIFEST), expected);
    assert.deepEqual(read(changed({ mediaType: undefined }), OCI_MANIFEST), expected);
    assert.deepEqual(read(changed({ mediaType: null })), expected);
  });
});

describe('the annotations of a snapshot', () => {
  it('are its machine and what it needs', () => {
    assert.deepEqual(withoutPrefix(snapshotAnnotations(RECORD)), {
      accelerator: 'kvm',
      qemu: '10.0.2',
      libvirt: '11.3.0',
      cpu: 'Xeon',
      memory: '536870912',
      vcpus: '2',
    });
  });

  it('have only what its record says', () => {
    const machine = { accelerator: 'tcg', memory: '536870912', vcpus: '2' };
    const record: SnapshotRecord = { ...RECORD, acceleration: 'tcg' };
    for (const needs of [undefined, {}, { other: { text: 'x' } }])
      assert.deepEqual(withoutPrefix(snapshotAnnotations({ ...record, needs })), machine);
    const qemu = { QEMU: { text: '9.2' } };
    assert.deepEqual(withoutPrefix(snapshotAnnotations({ ...record, needs: qemu })), { ...machine, qemu: '9.2' });
  });
});

describe('what is no boot image', () => {
  it('is an index, whoever says that it is one', () => {
    const { bytes } = testIndex([]);
    for (const mediaType of [undefined, OCI_INDEX]) refused('artifact-other', bytes, /but a list of images/, mediaType);
    const silent = Buffer.from('{"schemaVersion":2,"manifests":[]}');
    refused('artifact-other', silent, /but a list of images/, OCI_INDEX);
    refused('artifact-other', changed({ mediaType: OCI_INDEX }), /but a list of images/);
  });

  it('is an image for containers', () => {
    const { manifest } = testImage([tarOf({ name: 'file' })]);
    for (const mediaType of [undefined, OCI_MANIFEST])
      refused('artifact-other', manifest.bytes, /but an image for containers; .*virt-sandbox-image pull/, mediaType);
    const config = { mediaType: OCI_CONFIG, digest: digestOf(EMPTY_CONFIG), size: 2 };
    refused('artifact-other', changed({ artifactType: undefined, config }), /but an image for containers/);
    refused('artifact-other', changed({ artifactType: null, config }), /but an image for containers/);
  });

  it('is an artifact of another type', () => {
    for (const artifactType of ['', 'text/plain', 'application/vnd.libvirt-sandbox.boot-image', `x${ARTIFACT_TYPE}`])
      refused('artifact-other', changed({ artifactType }), new RegExp(`but an artifact of type '${artifactType}';`));
    refused('artifact-other', changed({ artifactType: '\u001b[2J\n' }), /of type '\\u\{1b\}\[2J\\n';/);
  });

  it('is of another media type', () => {
    for (const mediaType of ['text/plain', DOCKER_MANIFEST])
      refused(
        'artifact-other',
        changed({ mediaType }),
        /but something of type '(?:text.plain|application.vnd.docker[^']+)'/,
        mediaType,
      );
  });

  it('is anything else', () => {
    for (const text of ['null', '1', '"text"', 'true']) refused('artifact-other', text, /but something else/);
    refused('artifact-other', '[]', /is no boot image/);
    for (const fields of [{ artifactType: 1 }, { mediaType: 1 }, { artifactType: 'x'.repeat(2000) }])
      refused('artifact-other', changed(fields), /but something else/);
  });
});

describe('a manifest that is no JSON', () => {
  it('is not that of a whole boot image', () => {
    const whole = artifactBytes(MANIFEST, [], FILES);
    for (const text of ['', '{', '\u001b[2J', whole.subarray(0, -1)])
      refused('artifact-invalid', text, /its manifest is no JSON/, OCI_MANIFEST);
  });
});

describe('a boot image of another version', () => {
  it('is not read', () => {
    for (const version of ['v2', 'v10', 'v0', 'v1x']) {
      const artifactType = `application/vnd.libvirt-sandbox.boot-image.${version}`;
      const bytes = changed({ artifactType, layers: 'something new' });
      refused('artifact-newer', bytes, new RegExp(`by another version of this program, as '${artifactType}'`));
    }
  });
});

describe('a damaged boot image', () => {
  const layer = (fields: object = {}) => ({ ...descriptorOf(testBlob(LAYER_TYPE, {})), ...fields });
  const layers = (count: number) => Array.from({ length: count }, () => layer());

  it('has more layers than all its snapshots can have', () => {
    const most = 3 + 3 * MOST_SNAPSHOTS;
    assert.equal(read(changed({ layers: layers(most) })).length, 51);
    refused('artifact-invalid', changed({ layers: layers(most + 1) }), /its layers/);
  });

  it('has a layer of another type', () => {
    for (const mediaType of [`${OCI_LAYER}+zstd`, LAYER_TYPE.replace('v1', 'v2'), '', '\u001b[2J'])
      refused(
        'artifact-invalid',
        changed({ layers: [layer(), layer({ mediaType })] }),
        /one of its layers is of type '/,
      );
  });

  it('says that it is of another type than its sender says', () => {
    const pattern = /its media type is '[^']+docker[^']+' to its sender and '[^']+oci[^']+' inside/;
    refused('artifact-invalid', changed({}), pattern, DOCKER_MANIFEST);
    refused('artifact-invalid', changed({}), /to its sender/, OCI_INDEX);
  });

  it('has a field that is wrong, which the error names', () => {
    for (const [fields, pattern] of [
      [{ schemaVersion: 1 }, /its schemaVersion/],
      [{ schemaVersion: undefined }, /its schemaVersion/],
      [{ config: undefined }, /its config/],
      [{ config: { mediaType: 'x', digest: 'md5:0', size: 2 } }, /its config\.digest/],
      [{ layers: undefined }, /its layers/],
      [{ layers: {} }, /its layers/],
      [{ layers: [null] }, /its layers\.0/],
      [{ layers: [layer({ digest: '../../x' })] }, /its layers\.0\.digest/],
      [{ layers: [layer({ size: -1 })] }, /its layers\.0\.size/],
      [{ layers: [layer({ size: 2 ** 60 })] }, /its layers\.0\.size/],
      [{ layers: [layer({ annotations: { [TITLE]: 1 } })] }, /its layers\.0\.annotations/],
    ] as const)
      refused('artifact-invalid', changed(fields), pattern);
  });

  it('has more bytes than a manifest may have', () => {
    const whole = artifactBytes(MANIFEST, [], FILES);
    const padded = (length: number) => Buffer.concat([whole, Buffer.alloc(length - whole.length, ' ')]);
    assert.equal(read(padded(MOST_DOCUMENT_BYTES)).length, FILES.length);
    refused('artifact-invalid', padded(MOST_DOCUMENT_BYTES + 1), /more than 4194304 bytes/);
  });
});
