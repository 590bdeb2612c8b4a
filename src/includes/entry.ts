/** What an include consists of, one entry for each file. */

export type EntryKind =
  | { readonly kind: 'directory' }
  | { readonly kind: 'file' }
  | { readonly kind: 'link'; readonly leadsTo: string }
  | { readonly kind: 'pipe' }
  | { readonly kind: 'device'; readonly isBlock: boolean; readonly major: number; readonly minor: number }
  /** Not copied: no process would listen on a copy. */
  | { readonly kind: 'socket' };

/** One file to copy. */
export type Entry = EntryKind & {
  /** Path on the host. */
  readonly source: string;
  /** Path in the guest. */
  readonly target: string;
  /** Permission bits of st_mode. */
  readonly mode: number;
};

/** Told about the progress of copying. */
export interface CopyObserver {
  /** An entry was left out; `sentence` says which and why. */
  readonly onLeftOut: (sentence: string) => void;
  /** Another piece was copied. */
  readonly onPiece: () => void;
}
