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
  | ({ readonly phase: 'fetching' } & LayerProgress)
  | { readonly phase: 'merging' }
  /** Makes the file system of what was merged. */
  | { readonly phase: 'making' };

export type OnPullProgress = (progress: PullProgress) => void;
