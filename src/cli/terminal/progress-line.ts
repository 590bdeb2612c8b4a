/** A line on the terminal that says what takes so long. */
import { oneLine } from '../../util/errors.js';

/** How long a person waits without wondering, in milliseconds. */
const PROGRESS_AFTER = 1000;

/** To the start of the line, and erases it. */
const ERASE = '\r\u001b[K';

export interface ProgressLine {
  /** Replaces the message. */
  show(message: string): void;
  /** Writes a line that stays; the message goes on below it. */
  note(text: string): void;
  /** Removes the message for good. */
  clear(): void;
}

/**
 * A line on stderr that each message replaces. It appears once the work has taken {@link PROGRESS_AFTER}, and only on a
 * terminal.
 */
export function progressLine(program = 'virt-sandbox'): ProgressLine {
  const note = (text: string) => void process.stderr.write(`${program}: ${oneLine(text)}\n`);
  if (!process.stderr.isTTY) return { show: () => {}, note, clear: () => {} };
  let shown = false;
  let latest = '';
  const draw = () => {
    process.stderr.write(`${ERASE}${program}: ${oneLine(latest)}…`);
    shown = true;
  };
  const timer = setTimeout(draw, PROGRESS_AFTER);
  return {
    show(message) {
      latest = message;
      if (shown) draw();
    },
    note(text) {
      if (shown) process.stderr.write(ERASE);
      note(text);
      if (shown) draw();
    },
    clear() {
      clearTimeout(timer);
      if (shown) process.stderr.write(ERASE);
      shown = false;
    },
  };
}
