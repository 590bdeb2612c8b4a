/** A real terminal: the program runs at one end, as a shell would start it; the test types and reads at the other. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, write } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ReadStream } from 'node:tty';
import koffi from 'koffi';
import { deferred } from '../../src/util/promises.js';
import { withoutFallback } from './fallback.js';
import { environment, PROGRAM, type RunOptions } from './run.js';

const libc = koffi.load('libc.so.6');
koffi.struct('winsize', { ws_row: 'uint16', ws_col: 'uint16', ws_xpixel: 'uint16', ws_ypixel: 'uint16' });
const openpty = libc.func('int openpty(_Out_ int *, _Out_ int *, _Out_ char *, void *, const winsize *)');
const ioctl = libc.func('int ioctl(int, unsigned long, const winsize *)');
const fcntl = libc.func('int fcntl(int, int, int)');
const TIOCSWINSZ = 0x5414;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** Written at the program's end when it has ended: whatever it has written is before it. */
const LAST = '\u0001<the program has ended>\u0001';

/** In milliseconds. A guest that boots beside another on a loaded machine takes ten seconds. */
const TIMEOUT = 40_000;

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** How a program ended; one of the two is null. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Opens a new terminal. Child processes inherit neither end. `path` is that of the program's end. */
export function openPair(size: Size): { master: number; slave: number; path: string } {
  const master = [-1];
  const slave = [-1];
  const name = Buffer.alloc(128);
  if (openpty(master, slave, name, null, winsize(size)) !== 0) throw new Error('openpty failed');
  const pair = { master: master[0] ?? -1, slave: slave[0] ?? -1, path: name.toString('latin1').split('\0')[0] ?? '' };
  // A program that held the test's end too would never notice that the terminal is gone.
  for (const fd of [pair.master, pair.slave]) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return pair;
}

/** virt-sandbox at a terminal. */
export class AtTerminal {
  readonly child: ChildProcess;
  readonly #exited: Promise<Exit>;
  /** Path of the terminal: /dev/pts/N. */
  readonly path: string;
  /** What {@link settings} were before the program ran. */
  readonly before: string;
  readonly #master: number;
  /** Undefined after a hang-up. */
  #slave: number | undefined;
  readonly #screen: ReadStream;
  #text = '';
  #seen = 0;
  #onOutput = () => {};

  /** Runs `virt-sandbox ARGS` in a new session with a new controlling terminal. */
  constructor(args: readonly string[], size: Size, options: Pick<RunOptions, 'env' | 'through' | 'program'> = {}) {
    const { master, slave, path } = openPair(size);
    this.#master = master;
    this.#slave = slave;
    this.path = path;
    this.before = this.settings();
    this.#screen = new ReadStream(this.#master);
    // Reading fails once the other end is closed; that is expected.
    this.#screen.on('error', () => {});
    const shown = deferred<void>();
    this.#screen.once('close', shown.resolve);
    this.#screen.setEncoding('utf8').on('data', (text: string) => {
      const parts = `${this.#text}${text}`.split(LAST);
      this.#text = parts.join('');
      this.#onOutput();
      if (parts.length > 1) shown.resolve();
    });
    const command = [...(options.through ?? []), options.program ?? PROGRAM, ...args];
    this.child = spawn('setsid', ['--ctty', ...command], {
      stdio: [slave, slave, slave],
      env: environment({ TERM: 'xterm-256color', ...options.env }),
    });
    this.#exited = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('exit', (code, signal) => {
        // The kernel hands over what is written at one end some time later, and it is read later still.
        if (this.#slave === undefined) shown.resolve();
        else write(this.#slave, LAST, () => {});
        void shown.promise.then(() => resolve({ code, signal }));
      });
    });
  }

  /** Waits until the program has ended, and all that it has written is in {@link text}. */
  async exited(): Promise<Exit> {
    const late = sleep(TIMEOUT, undefined, { ref: false }).then((): never => {
      throw new Error(`it did not end; the terminal shows:\n${this.#text}`);
    });
    return Promise.race([this.#exited, late]);
  }

  /** Everything that the terminal has shown, but for the lines that depend on the host: fallback.ts. */
  get text(): string {
    return withoutFallback(this.#text).text;
  }

  type(text: string): void {
    this.#screen.write(text);
  }

  resize(size: Size): void {
    if (ioctl(this.#master, TIOCSWINSZ, winsize(size)) !== 0) throw new Error('TIOCSWINSZ failed');
  }

  /** Waits until the pattern is shown after the match of the previous call. */
  async until(pattern: RegExp, timeout = TIMEOUT): Promise<RegExpExecArray> {
    let timer: NodeJS.Timeout | undefined;
    const shown = () => `; the terminal shows:\n${this.#text}`;
    try {
      return await new Promise((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`${pattern} was not shown${shown()}`)), timeout);
        this.#onOutput = () => {
          const match = pattern.exec(this.#text.slice(this.#seen));
          if (!match) return;
          this.#seen += match.index + match[0].length;
          resolve(match);
        };
        this.#onOutput();
        void this.#exited.then(() => setTimeout(() => reject(new Error(`it ended without ${pattern}${shown()}`)), 500));
      });
    } finally {
      clearTimeout(timer);
      this.#onOutput = () => {};
    }
  }

  /** The terminal's settings in the format of `stty -g`. */
  settings(): string {
    return execFileSync('stty', ['-g'], { stdio: [this.#slave, 'pipe', 'inherit'], encoding: 'utf8' }).trim();
  }

  /** Closes the terminal, as a person closes a window while the program runs. */
  hangUp(): void {
    this.#screen.destroy();
    this.#closeSlave();
  }

  #closeSlave(): void {
    if (this.#slave !== undefined) closeSync(this.#slave);
    this.#slave = undefined;
  }

  /** Ends the program if it still runs, then closes the terminal. */
  async close(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    try {
      await this.exited();
    } finally {
      this.child.kill('SIGKILL');
      this.#screen.destroy();
      this.#closeSlave();
    }
  }
}

function winsize({ rows, columns }: Size) {
  return { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
}
