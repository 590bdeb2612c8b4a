/** The screen of a sandbox. */

/** What shows programs on the screen: a program of the root, or the first of them that the root has. */
export const COMPOSITORS = ['auto', 'cage', 'xorg', 'weston', 'none'] as const;

/** `auto`: cage, else Xorg. `none`: the application draws by itself. */
export type Compositor = (typeof COMPOSITORS)[number];

/** Who can look at the screen besides programs that take pictures of it. */
export const VIEWERS = ['vnc', 'none'] as const;

export type Viewers = (typeof VIEWERS)[number];

/** In pixels. */
export interface ScreenSize {
  readonly width: number;
  readonly height: number;
}

/** A screen, with a keyboard and a pointer. */
export interface Graphics extends ScreenSize {
  readonly viewers: Viewers;
  readonly compositor: Compositor;
}
