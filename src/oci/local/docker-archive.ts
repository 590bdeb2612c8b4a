/** What `docker save` and `podman save` write: a tar archive with manifest.json, configs and layers. */
import * as v from 'valibot';
import { streamFormat } from '../../compression/stream.js';
import { type Digest, digestOf, isDigest } from '../../oci-names/digest.js';
import { imageError, listOf, quoted } from '../../oci-names/errors.js';
import { parseReference, referenceText } from '../../oci-names/reference.js';
import { SandboxError } from '../../util/errors.js';
import { parseJson } from '../../util/records.js';
import { MOST_DOCUMENT_BYTES, MOST_LAYERS, MOST_UNPACKED_BYTES } from '../limits.js';
import type { Descriptor } from '../manifest.js';
import type { DocumentBytes, ImageSource } from '../source.js';
import { Archive, archiveError } from './archive.js';
import { blobMissing, type LocalLayer, manifestOf, ownDocument } from './documents.js';
import { readWhole } from './file-tree.js';
import { measureLayer } from './measure.js';

const ManifestsSchema = v.array(
  v.object({
    Config: v.string(),
    RepoTags: v.nullish(v.array(v.string())),
    Layers: v.pipe(v.array(v.string()), v.maxLength(MOST_LAYERS)),
  }),
);
const ConfigSchema = v.object({ rootfs: v.object({ diff_ids: v.array(v.pipe(v.string(), v.check(isDigest))) }) });
type SavedImage = v.InferOutput<typeof ManifestsSchema>[number];

/**
 * Opens an image of such an archive. Layers that are packed are read for their digests.
 * @param tag what Docker calls it; undefined: the only one
 * @throws {SandboxError} `image-not-found`, `image-ambiguous`, `image-unreadable`, `archive-invalid`, `aborted`
 */
export async function openDockerArchive(
  path: string,
  tag: string | undefined,
  signal?: AbortSignal,
): Promise<ImageSource> {
  const archive = await Archive.open(path, signal);
  try {
    const images = v.safeParse(
      ManifestsSchema,
      parseJson((await document(archive, 'manifest.json', signal)).toString()),
    );
    if (!images.success) throw archiveError(path, 'has no manifest.json of docker save', 'make it with docker save');
    const image = chooseSaved(images.output, tag, path);
    const config = await document(archive, image.Config, signal);
    const diffIds = v.safeParse(ConfigSchema, parseJson(config.toString()));
    const ids = diffIds.success ? (diffIds.output.rootfs.diff_ids as Digest[]) : [];
    if (ids.length !== image.Layers.length)
      throw archiveError(path, 'has a config that does not fit its layers', 'make it again with docker save');
    const names = new Map<Digest, string>([[digestOf(config), image.Config]]);
    const layers: LocalLayer[] = [];
    let left = MOST_UNPACKED_BYTES;
    for (const [at, name] of image.Layers.entries()) {
      const { layer, length } = await localLayer(archive, name, ids[at], left, signal);
      names.set(layer.digest, name);
      layers.push(layer);
      left -= length;
    }
    const name = `docker-archive:${path}${tag === undefined ? '' : `:${tag}`}`;
    return new SavedImageSource(archive, name, names, manifestOf(config, layers));
  } catch (error) {
    await archive.close();
    throw error;
  }
}

class SavedImageSource implements ImageSource {
  constructor(
    private readonly archive: Archive,
    readonly name: string,
    private readonly names: ReadonlyMap<Digest, string>,
    private readonly manifest: DocumentBytes,
  ) {}

  async document(listed: Descriptor | undefined): Promise<DocumentBytes> {
    return ownDocument(this.manifest, listed, this.name);
  }

  blob({ digest }: Descriptor, from: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const name = this.names.get(digest);
    if (name === undefined) throw blobMissing(digest, this.name);
    return this.archive.stream(name, from, signal);
  }

  close(): Promise<void> {
    return this.archive.close();
  }
}

async function document(archive: Archive, name: string, signal: AbortSignal | undefined): Promise<Buffer> {
  const size = await archive.size(name);
  if (size === undefined) throw archiveError(archive.path, `has no ${quoted(name)}`, 'make it with docker save');
  if (size > MOST_DOCUMENT_BYTES)
    throw archiveError(archive.path, `has a ${quoted(name)} of ${size} bytes`, 'make it with docker save');
  return readWhole(archive, name, signal);
}

function chooseSaved(images: readonly SavedImage[], tag: string | undefined, path: string): SavedImage {
  const named = images.filter(({ RepoTags }) => tag === undefined || (RepoTags ?? []).some((own) => isSame(own, tag)));
  const [only, ...others] = named;
  if (only !== undefined && others.length === 0) return only;
  const names = images.flatMap(({ RepoTags }) => RepoTags ?? []).map(quoted);
  const there = names.length === 0 ? 'they have no names' : `it has ${listOf(names)}`;
  throw tag === undefined
    ? imageError(
        'image-ambiguous',
        `${quoted(path)} has ${images.length} images; ${there}`,
        'add a name behind a colon',
      )
    : imageError('image-not-found', `${quoted(path)} has no image ${quoted(tag)}; ${there}`, 'choose one of its names');
}

/** `debian` is `docker.io/library/debian:latest`. */
function isSame(own: string, tag: string): boolean {
  const whole = (text: string) => {
    try {
      return referenceText(parseReference(text));
    } catch (error) {
      if (error instanceof SandboxError) return text;
      throw error;
    }
  };
  return own === tag || whole(own) === whole(tag);
}

/** @param most bytes that it may unpack to */
async function localLayer(
  archive: Archive,
  name: string,
  diffId: Digest | undefined,
  most: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly layer: LocalLayer; readonly length: number }> {
  const size = await archive.size(name);
  if (size === undefined) throw archiveError(archive.path, `lacks the layer ${quoted(name)}`, 'make it again');
  let start: Buffer = Buffer.alloc(0);
  for await (const piece of archive.stream(name, 0, signal)) {
    start = Buffer.from(piece.subarray(0, 8));
    break;
  }
  // What it is is checked when it is copied.
  if (diffId !== undefined && streamFormat(start) === 'none')
    return { layer: { digest: diffId, size, compression: 'none' }, length: size };
  const content = archive.stream(name, 0, signal);
  const { digest, compression, length } = await measureLayer(start, content, archive.path, most);
  return { layer: { digest, size, compression }, length };
}
