/** How far a pull is, for people who wait. */

/** How far a layer is. */
export interface LayerProgress {
  /** From 0 on. */
  readonly layer: number;
  readonly layers: number;
  /** Bytes that are there, and that it has. */
  readonly bytes: number;
  readonly size: number;
}

/** What a pull does. Layers are merged while others are fetched, so `merging` comes when all are there. */
export type PullProgress =
  /** Asks what the name means, or reads it from this host. */
  | { readonly phase: 'asking' }
  /** virt-builder makes a disk. */
  | { readonly phase: 'building' }
  /** The files of that disk are read. */
  | { readonly phase: 'reading' }
  | ({ readonly phase: 'fetching' } & LayerProgress)
  | { readonly phase: 'merging' }
  /** Makes the file system of what was merged. */
  | { readonly phase: 'making' }
  /** The image is there. */
  | { readonly phase: 'done' };

export type OnPullProgress = (progress: PullProgress) => void;

/** Milliseconds between two reports of the same layer. */
const INTERVAL = 100;

/** Passes on what people can follow: each phase, the beginning and the end of each layer, and ten reports a second. */
export function throttleProgress(onProgress: OnPullProgress): OnPullProgress {
  const begun = new Set<number>();
  /** The last that is known of layers, and was not told yet. */
  const held = new Map<number, PullProgress>();
  let timer: NodeJS.Timeout | undefined;
  const tellHeld = () => {
    timer = undefined;
    for (const progress of held.values()) onProgress(progress);
    held.clear();
  };
  return (progress) => {
    if (progress.phase !== 'fetching') {
      clearTimeout(timer);
      tellHeld();
      onProgress(progress);
    } else if (progress.bytes >= progress.size || !begun.has(progress.layer)) {
      begun.add(progress.layer);
      held.delete(progress.layer);
      onProgress(progress);
    } else {
      held.set(progress.layer, progress);
      // What it waits for keeps this process alive.
      timer ??= setTimeout(tellHeld, INTERVAL).unref();
    }
  };
}
