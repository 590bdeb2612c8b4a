/** From what a reference names to the manifest of one platform: indexes are gone through, nested ones too. */
import { imageError } from '../oci-names/errors.js';
import { fitness, type Platform, platformMissing } from '../oci-names/platform.js';
import type { ImageConfig } from './image-config.js';
import { MOST_INDEX_DEPTH } from './limits.js';
import { type Descriptor, type Index, type Manifest, parseDocument } from './manifest.js';
import { kindOf } from './media-types.js';
import type { DocumentBytes, ImageSource } from './source.js';

export interface ChosenManifest {
  readonly manifest: Manifest;
  readonly document: DocumentBytes;
  /** What the reference names: the manifest itself, or an index. A tag is pinned to its digest. */
  readonly top: DocumentBytes;
}

/** Most documents that are asked for to find one manifest. */
const MOST_DOCUMENTS = 32;

/**
 * Finds the manifest for a platform. Attestations (`unknown/unknown`) and entries without a platform are not chosen,
 * unless an index has one entry only.
 * @throws {SandboxError} `platform-missing`, which names the platforms that are there; `manifest-invalid` and the other
 *   errors of {@link parseDocument}; those of the source
 */
export async function chooseManifest(
  source: ImageSource,
  wanted: Platform,
  signal?: AbortSignal,
): Promise<ChosenManifest> {
  const top = await source.document(undefined, signal);
  const parsed = parseDocument(top.bytes, top.mediaType, source.name);
  if (parsed.kind === 'manifest') return { manifest: parsed, document: top, top };
  const search = new Search(source, wanted, signal);
  const found = await search.inIndex(parsed, 1);
  if (found === undefined) throw platformMissing(search.seen, wanted, source.name);
  return { ...found, top };
}

class Search {
  readonly seen: Platform[] = [];
  #documents = 0;

  constructor(
    private readonly source: ImageSource,
    private readonly wanted: Platform,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async inIndex({ manifests }: Index, depth: number): Promise<Omit<ChosenManifest, 'top'> | undefined> {
    const [images, indexes] = [manifests.filter(isImage), manifests.filter((entry) => !isImage(entry))];
    for (const { platform } of images)
      if (platform !== undefined && platform.os !== 'unknown') this.seen.push(platform);
    const best = manifests.length === 1 && images[0]?.platform === undefined ? images[0] : this.#best(images);
    if (best !== undefined) {
      const { document, parsed } = await this.#read(best);
      if (parsed.kind !== 'manifest') throw nesting(this.source.name, 'an index where it promised an image');
      return { document, manifest: parsed };
    }
    if (indexes.length > 0 && depth >= MOST_INDEX_DEPTH)
      throw nesting(this.source.name, `more than ${MOST_INDEX_DEPTH} indexes within each other`);
    for (const entry of indexes) {
      const { parsed } = await this.#read(entry);
      if (parsed.kind !== 'index') throw nesting(this.source.name, 'an image where it promised an index');
      const found = await this.inIndex(parsed, depth + 1);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The first of those that serve best. */
  #best(images: readonly Descriptor[]): Descriptor | undefined {
    const fits = images.map(({ platform }) => (platform === undefined ? 0 : fitness(platform, this.wanted)));
    const most = Math.max(0, ...fits);
    return most === 0 ? undefined : images[fits.indexOf(most)];
  }

  async #read(entry: Descriptor): Promise<{ document: DocumentBytes; parsed: Manifest | Index }> {
    this.#documents += 1;
    if (this.#documents > MOST_DOCUMENTS) throw nesting(this.source.name, `more than ${MOST_DOCUMENTS} indexes`);
    const document = await this.source.document(entry, this.signal);
    return { document, parsed: parseDocument(document.bytes, entry.mediaType, this.source.name) };
  }
}

function isImage({ mediaType }: Descriptor): boolean {
  return kindOf(mediaType) !== 'index';
}

function nesting(name: string, what: string) {
  return imageError('manifest-invalid', `the index of ${name} has ${what}`, 'use another tag, or have it pushed again');
}

/**
 * Whether an image that no index has chosen runs where it is wanted.
 * @throws {SandboxError} `platform-missing`
 */
export function refuseOtherPlatform({ platform }: ImageConfig, wanted: Platform, which: string): void {
  if (fitness(platform, wanted) === 0) throw platformMissing([platform], wanted, which);
}
