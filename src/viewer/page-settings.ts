/** What the page is told by the server: it is the same text for both. */

export interface PageSettings {
  /** Of the sandbox, as it was called: any text. */
  readonly name: string;
  readonly clipboard: boolean;
  /** By it the page knows that it talks to the server that it has come from. */
  readonly key: string;
}
