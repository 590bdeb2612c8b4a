/** Documents for what has none: a manifest, and a config, in the form that registries have. */
import { type Digest, digestOf } from '../../oci-names/digest.js';
import { digestWrong, imageError } from '../../oci-names/errors.js';
import type { Descriptor } from '../manifest.js';
import { type LayerCompression, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../media-types.js';
import type { DocumentBytes } from '../source.js';

/** A layer that is a file of this host. */
export interface LocalLayer {
  readonly digest: Digest;
  readonly size: number;
  readonly compression: LayerCompression;
}

/** The manifest of a config and layers. The same ones give the same bytes. */
export function manifestOf(config: Buffer, layers: readonly LocalLayer[]): DocumentBytes {
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: digestOf(config), size: config.length },
      layers: layers.map(({ digest, size, compression }) => ({
        mediaType: `${OCI_LAYER}${compression === 'none' ? '' : `+${compression}`}`,
        digest,
        size,
      })),
    }),
  );
  return { bytes, digest: digestOf(bytes), mediaType: OCI_MANIFEST };
}

/** A document that was made here, if it is the one that is asked for. */
export function ownDocument(made: DocumentBytes, listed: Descriptor | undefined, name: string): DocumentBytes {
  if (listed !== undefined && listed.digest !== made.digest) throw digestWrong(name, listed.digest, made.digest);
  return made;
}

export function blobMissing(digest: Digest, name: string) {
  return imageError('blob-missing', `${name} has no blob ${digest}`, 'see that the file was not changed meanwhile');
}
