/** A line on the terminal that says what takes so long. */

import { oneLine } from '../../util/errors.js';
import { programName } from '../program-name.js';
import { StatusLines } from './status-lines.js';

/** How long a person waits without wondering, in milliseconds. */
export const PROGRESS_AFTER = 1000;

export interface ProgressLine {
  /** Replaces the message. */
  show(message: string): void;
  /** Removes the message until the next one: something else tells what is done. */
  hide(): void;
  /** Writes a line that stays; the message goes on below it. */
  note(text: string): void;
  /** Removes the message for good. */
  clear(): void;
}

/**
 * A line on stderr that each message replaces. It appears once the work has taken {@link PROGRESS_AFTER}, and only on a
 * terminal.
 */
export function progressLine(program = programName()): ProgressLine {
  const note = (text: string) => void process.stderr.write(`${program}: ${oneLine(text)}\n`);
  if (!process.stderr.isTTY) return { show: () => {}, hide: () => {}, note, clear: () => {} };
  const line = new StatusLines(process.stderr);
  let latest = '';
  let isDue = false;
  let isHidden = false;
  const draw = () => {
    if (isDue && !isHidden) line.draw([fitting(`${program}: ${oneLine(latest)}…`, process.stderr.columns)]);
  };
  const timer = setTimeout(() => {
    isDue = true;
    draw();
  }, PROGRESS_AFTER);
  return {
    show(message) {
      latest = message;
      isHidden = false;
      draw();
    },
    hide() {
      isHidden = true;
      line.erase();
    },
    note(text) {
      line.erase();
      note(text);
      draw();
    },
    clear() {
      clearTimeout(timer);
      isDue = false;
      line.erase();
    },
  };
}

/** A text cut so that it does not wrap: a line that wraps could not be replaced. */
export function fitting(text: string, columns: number | undefined): string {
  const characters = [...text];
  return columns === undefined || characters.length < columns ? text : `${characters.slice(0, columns - 2).join('')}…`;
}
