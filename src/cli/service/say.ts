/** What users are told beside the output. */
import { oneLine } from '../../util/errors.js';
import { PROGRAM } from './arguments.js';

export function say(text: string): void {
  process.stderr.write(`${PROGRAM}: ${oneLine(text)}\n`);
}
