/** What is wrong with a layer. */

import { imageError, quoted } from '../../oci-names/errors.js';
import type { SandboxError } from '../../util/errors.js';

/** What is wrong with an entry of a layer, as a sentence that follows `the entry NAME`: `leads out of the image`. */
export class EntryError extends Error {
  override readonly name = 'EntryError';
}

/** @param why a sentence that follows the layer's name */
export function layerError(which: string, why: string, cause?: unknown): SandboxError {
  return imageError('layer-invalid', `${which} ${why}`, 'use another image, or have this one built again', cause);
}

/** The name of an entry as people read it. Names are bytes as characters of latin1. */
export function shownName(name: string): string {
  return quoted(Buffer.from(name, 'latin1').toString('utf8'));
}

/**
 * @param what stands behind `has`: `entry 2000001 of an image`
 * @param entry the name of the entry that was one too many, if it was one
 */
export function tooMuch(which: string, what: string, entry?: string): SandboxError {
  const where = entry === undefined ? '' : `, at the entry ${shownName(entry)}`;
  return imageError('layer-too-large', `${which} has ${what}${where}`, 'use a smaller image');
}
