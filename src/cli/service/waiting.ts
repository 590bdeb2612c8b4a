/** What is said while another process works on a service. */
import { PROGRAM } from './arguments.js';

/** Says, once, that another process changes the service. */
export function sayWait(name: string): () => void {
  return () => void process.stderr.write(`${PROGRAM}: waiting for another process that changes ${name}\n`);
}
