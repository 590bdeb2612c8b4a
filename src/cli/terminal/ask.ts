/** Asks a person at the terminal, on stderr and stdin. */
import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import { SandboxError } from '../../util/errors.js';

/** @returns the line without its end. Ctrl+C ends this process. @throws {SandboxError} `no-answer` for Ctrl+D */
export function ask(question: string): Promise<string> {
  return answer(process.stderr, (lines, take) => lines.question(question, take));
}

/** The same; what is typed is not shown. */
export async function askSecret(question: string): Promise<string> {
  // readline reads key by key, in raw mode, and shows them itself: here nowhere.
  const nowhere = new Writable({ write: (_piece, _encoding, done) => done() });
  try {
    return await answer(nowhere, (lines, take) => {
      lines.once('line', take);
      // Who sees the question may type: the terminal has to show nothing by then.
      process.stderr.write(question);
    });
  } finally {
    process.stderr.write('\n');
  }
}

/** @param put asks the question */
async function answer(
  output: Writable,
  put: (lines: Interface, take: (line: string) => void) => void,
): Promise<string> {
  const lines = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
  try {
    return await new Promise<string>((resolve, reject) => {
      put(lines, resolve);
      lines.once('close', () => reject(noAnswer()));
      lines.once('SIGINT', () => {
        // Out of raw mode first: the signal ends this process at once.
        lines.close();
        process.stderr.write('\n');
        process.kill(process.pid, 'SIGINT');
      });
    });
  } finally {
    lines.close();
  }
}

function noAnswer(): SandboxError {
  return new SandboxError({
    stage: 'arguments',
    code: 'no-answer',
    message: 'nothing was entered',
    remedy: 'type an answer, and Enter',
  });
}
