/** Files of a boot image from a source that sends what it wants: only what has the right digest counts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { LAYER_TYPE } from '../../../../src/fleet/artifact/document.js';
import { type FetchOptions, fetchFile, fetchText } from '../../../../src/fleet/artifact/fetch.js';
import type { ArtifactLayer } from '../../../../src/fleet/artifact/files.js';
import type { Descriptor } from '../../../../src/oci/manifest.js';
import type { ImageSource } from '../../../../src/oci/source.js';
import { digestOf } from '../../../../src/oci-names/digest.js';
import { imageError } from '../../../../src/oci-names/errors.js';
import type { SandboxError } from '../../../../src/util/errors.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { ARTIFACT, collect, inPieces } from '../../../helpers/fleet-layers.js';

const MIB = 1 << 20;
const MOST = 16 * MIB;

/** Three chunks of output and a bit, which do not pack. */
const CONTENT = randomBytes(3 * MIB + 123);
const PACKED = packed(CONTENT);

/** Without a checksum: nothing but the layer's digest notices a wrong byte. */
function packed(content: Buffer): Buffer {
  return execFileSync('zstd', ['-q', '-c', '--no-check'], { input: content, maxBuffer: 1 << 30 });
}

/** @param bytes what the descriptor is of */
function layerOf(bytes: Buffer, fields: Partial<Descriptor> = {}): ArtifactLayer {
  const descriptor = { mediaType: LAYER_TYPE, digest: digestOf(bytes), size: bytes.length, platform: undefined };
  return { path: 'initrd', descriptor: { ...descriptor, annotations: {}, ...fields } };
}

/** Sends the pieces that it is made of. */
class PiecesSource implements ImageSource {
  readonly name = ARTIFACT;
  readonly requests: { readonly descriptor: Descriptor; readonly from: number; readonly signal: unknown }[] = [];
  /** Bytes that were taken. */
  taken = 0;
  /** Blobs that nobody has let go of. */
  open = 0;

  constructor(private readonly pieces: AsyncIterable<Uint8Array>) {}

  blob(descriptor: Descriptor, from: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    this.requests.push({ descriptor, from, signal });
    return this.#send();
  }

  async *#send(): AsyncGenerator<Uint8Array> {
    this.open += 1;
    try {
      for await (const piece of this.pieces) {
        this.taken += piece.length;
        yield piece;
      }
    } finally {
      this.open -= 1;
    }
  }

  document(): Promise<never> {
    return Promise.reject(new Error('nobody asks for a document here'));
  }

  async close(): Promise<void> {}
}

const sending = (bytes: Buffer, length = 50_000) => new PiecesSource(inPieces(bytes, length));

function assertClosed({ requests, open }: PiecesSource): void {
  assert.deepEqual([requests.length, open], [1, 0]);
}

interface Fetching extends Partial<FetchOptions> {
  readonly most?: number;
}

function fetched(source: PiecesSource, layer: ArtifactLayer, { most = MOST, ...more }: Fetching = {}) {
  return collect(fetchFile(layer, most, { source, signal: undefined, ...more }));
}

/** Asserts that a fetch fails, and lets go of the blob. */
async function refused(
  source: PiecesSource,
  layer: ArtifactLayer,
  code: string,
  pattern: RegExp,
  more: Fetching = {},
): Promise<SandboxError> {
  const error = await rejectsWith(fetched(source, layer, more), code, /registry\.test\/boot:v1/, pattern);
  assertClosed(source);
  return error;
}

/** The same bytes, but for one. */
function damaged(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

async function* together(...parts: AsyncIterable<Uint8Array>[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield* part;
}

describe('a fetched file', () => {
  it('is what was packed, in pieces of any length', async () => {
    for (const length of [3333, 128 << 10, PACKED.length]) {
      const source = sending(PACKED, length);
      assert.ok((await fetched(source, layerOf(PACKED))).equals(CONTENT), `pieces of ${length}`);
      assertClosed(source);
    }
  });

  it('may be empty, and may have as many bytes as it can', async () => {
    const nothing = packed(Buffer.alloc(0));
    assert.equal((await fetched(sending(nothing), layerOf(nothing), { most: 0 })).length, 0);
    assert.ok((await fetched(sending(PACKED), layerOf(PACKED), { most: CONTENT.length })).equals(CONTENT));
  });

  it('is asked for from its beginning, with the signal', async () => {
    const source = sending(PACKED);
    const { signal } = new AbortController();
    const layer = layerOf(PACKED);
    await fetched(source, layer, { signal });
    assert.deepEqual(source.requests, [{ descriptor: layer.descriptor, from: 0, signal }]);
  });

  it('is counted as it comes', async () => {
    const counts: number[] = [];
    await fetched(sending(PACKED, MIB), layerOf(PACKED), { onBytes: (count) => counts.push(count) });
    assert.deepEqual(counts, [MIB, MIB, MIB, PACKED.length - 3 * MIB]);
  });

  it('is compared also with a digest of SHA-512', async () => {
    const digest = digestOf(PACKED, 'sha512');
    assert.ok((await fetched(sending(PACKED), layerOf(PACKED, { digest }))).equals(CONTENT));
    await refused(sending(damaged(PACKED, MIB)), layerOf(PACKED, { digest }), 'digest-wrong', /sha512/);
  });

  it('is let go of when its reader has enough', async () => {
    const source = sending(PACKED);
    for await (const piece of fetchFile(layerOf(PACKED), MOST, { source, signal: undefined })) {
      assert.ok(CONTENT.subarray(0, piece.length).equals(piece));
      break;
    }
    assertClosed(source);
    assert.ok(source.taken < PACKED.length, `${source.taken} bytes`);
  });

  it('can be a text, whose letters are where they may be', async () => {
    // The middle of a letter is at the end of the first chunk of output.
    const text = `x${'ä'.repeat(MIB)}`;
    const bytes = packed(Buffer.from(text));
    const source = sending(bytes);
    assert.ok((await fetchText(layerOf(bytes), MOST, { source, signal: undefined })) === text);
    assertClosed(source);
    await rejectsWith(
      fetchText(layerOf(bytes), 2 * MIB, { source: sending(bytes), signal: undefined }),
      'artifact-invalid',
      /its initrd unpacks to more than 2097152 bytes/,
    );
  });
});

describe('a file that is not what its digest says', () => {
  it('is refused at its end if it unpacks', async () => {
    const wrong = damaged(PACKED, 2 * MIB);
    const { message } = await refused(sending(wrong), layerOf(PACKED), 'digest-wrong', /initrd of/);
    assert.ok(message.includes(digestOf(wrong)) && message.includes(digestOf(PACKED)), message);
  });

  it('is refused for its digest also if it does not unpack', async () => {
    for (const wrong of [damaged(PACKED, 0), randomBytes(PACKED.length)])
      await refused(sending(wrong), layerOf(PACKED), 'digest-wrong', /initrd of/);
  });

  it('is refused for its size if it has more bytes', async () => {
    const more = Buffer.concat([PACKED, Buffer.from('x')]);
    for (const length of [9999, more.length])
      await refused(sending(more, length), layerOf(PACKED), 'blob-size-wrong', /the registry sent more/);
    await refused(sending(damaged(more, 0)), layerOf(PACKED), 'blob-size-wrong', /the registry sent more/);
    await refused(sending(PACKED), layerOf(PACKED, { size: 0 }), 'blob-size-wrong', /should have 0 bytes/);
  });

  it('is left as soon as it has more bytes', async () => {
    const endless = async function* () {
      for (;;) yield Buffer.alloc(1000);
    };
    for (const first of [PACKED, damaged(PACKED, 0)]) {
      let counted = 0;
      const source = new PiecesSource(together(inPieces(first, 50_000), endless()));
      const onBytes = (count: number) => {
        counted += count;
      };
      await refused(source, layerOf(PACKED), 'blob-size-wrong', /the registry sent more/, { onBytes });
      assert.deepEqual([source.taken, counted], [PACKED.length + 1000, PACKED.length]);
    }
  });

  it('is refused for its size if it has fewer bytes', async () => {
    for (const length of [0, 1, 2 * MIB, PACKED.length - 1]) {
      const pattern = new RegExp(`stops after ${length} of ${PACKED.length} bytes`);
      await refused(sending(PACKED.subarray(0, length)), layerOf(PACKED), 'blob-truncated', pattern);
    }
    await refused(sending(damaged(PACKED, 0).subarray(1)), layerOf(PACKED), 'blob-truncated', /stops after/);
    await refused(sending(PACKED), layerOf(PACKED, { size: PACKED.length + 1 }), 'blob-truncated', /stops after/);
  });
});

describe('a file with the right digest', () => {
  it('does not unpack to more than it may', async () => {
    const pattern = new RegExp(`its initrd unpacks to more than ${CONTENT.length - 1} bytes`);
    await refused(sending(PACKED), layerOf(PACKED), 'artifact-invalid', pattern, { most: CONTENT.length - 1 });
    await refused(sending(PACKED), layerOf(PACKED), 'artifact-invalid', /more than 0 bytes/, { most: 0 });
  });

  it('is left early if it is small, and unpacks to very much', async () => {
    const bomb = packed(Buffer.alloc(256 * MIB));
    assert.ok(bomb.length < 64 << 10, `${bomb.length} bytes`);
    for (const length of [100, bomb.length]) {
      const source = sending(bomb, length);
      let received = 0;
      const receive = async () => {
        for await (const piece of fetchFile(layerOf(bomb), 5 * MIB, { source, signal: undefined }))
          received += piece.length;
      };
      await rejectsWith(receive(), 'artifact-invalid', /unpacks to more than 5242880 bytes/);
      assertClosed(source);
      assert.ok(received <= 5 * MIB, `${received} bytes came of it`);
      if (length === 100) assert.ok(source.taken < bomb.length / 4, `${source.taken} of ${bomb.length} bytes`);
    }
  });

  it('is refused if it is not packed, damaged, or cut off', async () => {
    for (const bytes of [
      Buffer.from('plain'),
      randomBytes(MIB),
      damaged(PACKED, 0),
      PACKED.subarray(0, -1),
      Buffer.concat([PACKED, Buffer.from('trailing')]),
    ]) {
      const error = await refused(
        sending(bytes),
        layerOf(bytes),
        'artifact-invalid',
        /its initrd cannot be unpacked \(/,
      );
      assert.ok(error.cause instanceof Error);
    }
  });
});

describe('a fetch', () => {
  it('that is cancelled before it begins asks for nothing', async () => {
    const source = sending(PACKED);
    const reason = new Error('enough');
    const { cause } = await rejectsWith(
      fetched(source, layerOf(PACKED), { signal: AbortSignal.abort(reason) }),
      'aborted',
    );
    assert.equal(cause, reason);
    assert.deepEqual([source.requests.length, source.open], [0, 0]);
  });

  it('that is cancelled goes no further', async () => {
    const source = sending(PACKED);
    const controller = new AbortController();
    let received = 0;
    const receive = async () => {
      for await (const piece of fetchFile(layerOf(PACKED), MOST, { source, signal: controller.signal })) {
        received += piece.length;
        controller.abort();
      }
    };
    await rejectsWith(receive(), 'aborted');
    assertClosed(source);
    assert.ok(received <= MIB, `${received} bytes`);
    assert.ok(source.taken < PACKED.length, `${source.taken} bytes`);
  });

  it('has the error of its source', async () => {
    const missing = imageError('blob-missing', 'it is gone', 'push it');
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield* inPieces(PACKED.subarray(0, MIB), 50_000);
      throw missing;
    };
    const source = new PiecesSource(failing());
    assert.equal(await rejectsWith(fetched(source, layerOf(PACKED)), 'blob-missing'), missing);
    assertClosed(source);
  });
});
