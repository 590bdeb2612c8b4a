/** How an image came to be: the steps of its history, with the layers that they made. */
import type { ImageConfig } from '../image-config.js';
import type { LayerDescriptor, Manifest } from '../manifest.js';

export interface Step {
  /** ISO 8601, if the image says it right. */
  readonly created: string | undefined;
  /** What made it, in the image's words; undefined: it does not say. */
  readonly createdBy: string | undefined;
  /** Undefined: it made none. */
  readonly layer: LayerDescriptor | undefined;
}

/**
 * The steps of an image, the first one first. Where the history and the layers do not fit each other, which nothing
 * forbids, layers without a step follow, and steps without a layer have none.
 */
export function historyOf({ layers }: Manifest, { history }: ImageConfig): Step[] {
  const left = [...layers];
  const steps = history.map(({ created, createdBy, isEmpty }): Step => {
    return { created, createdBy, layer: isEmpty ? undefined : left.shift() };
  });
  return [...steps, ...left.map((layer) => ({ created: undefined, createdBy: undefined, layer }))];
}
