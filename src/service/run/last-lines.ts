/** The last lines that a service has written, for the error of its start. */
import { StringDecoder } from 'node:string_decoder';
import { oneLine, type SandboxError } from '../../util/errors.js';

const MOST_LINES = 5;
const MOST_CHARACTERS = 200;

export class LastLines {
  readonly #decoder = new StringDecoder('utf8');
  #text = '';
  #isOver = false;

  /** What comes from now on is of its end. */
  end(): void {
    this.#isOver = true;
  }

  add(chunk: Buffer): void {
    if (this.#isOver) return;
    // Whatever is written, so much of its end is enough.
    const most = MOST_LINES * 4 * MOST_CHARACTERS;
    this.#text = (this.#text + this.#decoder.write(chunk.subarray(-most))).slice(-most);
  }

  /** The error, with them below it. Those of the guest's console count more: they tell of a machine that failed. */
  with(error: SandboxError): SandboxError {
    const lines = this.#text.trimEnd().split('\n').slice(-MOST_LINES);
    if (error.consoleTail.length > 0 || this.#text.trim() === '') return error;
    return error.withConsole(lines.map((line) => oneLine(line.trimEnd()).slice(0, MOST_CHARACTERS)));
  }
}
