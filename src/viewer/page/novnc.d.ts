/** What of noVNC the page uses: its package has no types. https://github.com/novnc/noVNC/blob/master/docs/API.md */
declare module '@novnc/novnc' {
  interface Events {
    readonly connect: CustomEvent;
    readonly disconnect: CustomEvent<{ readonly clean: boolean }>;
    readonly clipboard: CustomEvent<{ readonly text: string }>;
  }

  export default class RFB {
    constructor(target: HTMLElement, channel: WebSocket, options: { readonly shared: boolean });
    scaleViewport: boolean;
    background: string;
    addEventListener<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): void;
    focus(options?: FocusOptions): void;
    clipboardPasteFrom(text: string): void;
  }
}
