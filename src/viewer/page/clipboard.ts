/**
 * Shares the clipboard of this browser with that of the sandbox, where the user has asked for it. A browser lets a page
 * read it only when the page has the focus, and asks the user first.
 */
import type RFB from '@novnc/novnc';

/** QEMU takes as much. */
const MOST_CHARACTERS = 1 << 20;

export function shareClipboard(rfb: RFB): void {
  const ending = new AbortController();
  const { signal } = ending;
  /** What both sides have: it is sent back to neither. */
  let known = '';
  /** What came while the page had no focus. */
  let waiting: string | undefined;

  const write = async (text: string) => {
    waiting = text;
    if (!document.hasFocus()) return;
    await navigator.clipboard.writeText(text);
    if (waiting === text) waiting = undefined;
  };
  const read = async () => {
    if (waiting !== undefined) return write(waiting);
    const text = await navigator.clipboard.readText();
    if (text === known || text === '' || text.length > MOST_CHARACTERS) return;
    known = text;
    rfb.clipboardPasteFrom(text);
  };
  // What the browser does not allow is not shared.
  const attempt = (work: Promise<void>) => void work.catch(() => {});

  rfb.addEventListener('clipboard', ({ detail: { text } }) => {
    if (text.length > MOST_CHARACTERS || text === known) return;
    known = text;
    attempt(write(text));
  });
  rfb.addEventListener('connect', () => attempt(read()));
  rfb.addEventListener('disconnect', () => ending.abort());
  window.addEventListener('focus', () => attempt(read()), { signal });
  document.addEventListener('pointerdown', () => attempt(read()), { signal });
}
