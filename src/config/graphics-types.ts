/** The screen of a sandbox. */

/** What shows programs on the screen: a program of the root, or the first of them that the root has. */
export const COMPOSITORS = ['auto', 'cage', 'xorg', 'weston', 'none'] as const;

/** `auto`: cage, else Xorg. `none`: the application draws by itself. */
export type Compositor = (typeof COMPOSITORS)[number];

/**
 * Who can look at the screen besides programs that take pictures of it. `xvnc`: no card, but a VNC server of the root, which
 * runs inside; viewers talk to it, and so to a program of the guest.
 */
export const VIEWERS = ['vnc', 'spice', 'xvnc', 'none'] as const;

export type Viewers = (typeof VIEWERS)[number];

/** Addresses of this host that only its own users reach. */
export const LISTEN_ADDRESSES = ['127.0.0.1', '::1'] as const;

/** Where viewers of VNC are let in over TCP, with a password. */
export interface ScreenListen {
  readonly address: (typeof LISTEN_ADDRESSES)[number];
  /** 0: a free one. */
  readonly port: number;
}

/** What of the clipboard passes between viewers of VNC and the programs on the screen: texts, that way or both ways. */
export const CLIPBOARDS = ['none', 'host-to-guest', 'both'] as const;

export type Clipboard = (typeof CLIPBOARDS)[number];

/** In pixels. */
export interface ScreenSize {
  readonly width: number;
  readonly height: number;
}

/** Whether viewers, and programs of the host, change the size of the screen. */
export const RESIZES = ['on', 'off'] as const;

export type Resize = (typeof RESIZES)[number];

/** A screen, with a keyboard and a pointer. */
export interface Graphics extends ScreenSize {
  readonly viewers: Viewers;
  readonly compositor: Compositor;
  /** Undefined: nothing listens at a port. */
  readonly listen?: ScreenListen | undefined;
  readonly resize: Resize;
}
