/** Asks a person at the terminal, on stderr and stdin. */
import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import { SandboxError } from '../../util/errors.js';

interface Pending {
  readonly resolve: (line: string) => void;
  readonly reject: (error: SandboxError) => void;
}

/**
 * Questions to one person. What is typed or pasted ahead answers the next question, and is shown only while one is open
 * whose answer may be seen: a name and a password may be pasted at once. Close it, or the terminal stays in raw mode.
 */
export class Questions {
  readonly #lines: Interface;
  readonly #ahead: string[] = [];
  #pending: Pending | undefined;
  #isShown = false;
  #isOver = false;

  constructor() {
    // readline reads key by key, in raw mode, and shows them itself.
    const output = new Writable({
      write: (piece: Buffer, _encoding, done) => {
        if (this.#isShown) process.stderr.write(piece);
        done();
      },
    });
    this.#lines = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
    this.#lines.on('line', (line) => this.#take(line));
    this.#lines.on('close', () => this.#end());
    this.#lines.on('SIGINT', () => {
      // Out of raw mode first: the signal ends this process at once.
      this.#lines.close();
      process.stderr.write('\n');
      process.kill(process.pid, 'SIGINT');
    });
  }

  /** @returns the line without its end. Ctrl+C ends this process. @throws {SandboxError} `no-answer` for Ctrl+D */
  async ask(question: string): Promise<string> {
    this.#lines.setPrompt(question);
    this.#isShown = true;
    this.#lines.prompt(true);
    return this.#answer();
  }

  /** The same; what is typed is not shown. */
  async askSecret(question: string): Promise<string> {
    this.#lines.setPrompt('');
    // Who sees the question may type: the terminal has to show nothing by then.
    process.stderr.write(question);
    try {
      return await this.#answer();
    } finally {
      process.stderr.write('\n');
    }
  }

  close(): void {
    this.#lines.close();
  }

  #answer(): Promise<string> {
    return new Promise<string>((resolve, reject) => {
      const line = this.#ahead.shift();
      this.#pending = { resolve, reject };
      if (line !== undefined) this.#take(line);
      else if (this.#isOver) this.#end();
    });
  }

  #take(line: string): void {
    // In the same moment: the next keys may have come together with this line.
    this.#isShown = false;
    if (this.#pending === undefined) this.#ahead.push(line);
    else this.#pending.resolve(line);
    this.#pending = undefined;
  }

  #end(): void {
    this.#isOver = true;
    this.#isShown = false;
    this.#pending?.reject(noAnswer());
    this.#pending = undefined;
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
