/** Pipes as a shell makes them. Node's own are sockets, which virtme-ng cannot reopen by their names in /proc. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Pipe {
  readonly output: Socket;
  /** Descriptor to pass to a child. */
  readonly input: number;
  /**
   * Closes `input` here; call it once the child has it. Then the output ends with the last process that writes to it.
   */
  readonly release: () => void;
}

/** A pipe into a child. */
export interface InputPipe {
  readonly input: Socket;
  /** Descriptor to pass to a child. */
  readonly output: number;
  /** Closes `output` here; call it once the child has it. */
  readonly release: () => void;
}

export function openPipe(): Pipe {
  return withFifo((path) => {
    const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const input = openSync(path, constants.O_WRONLY);
    const output = new Socket({ fd: reading, readable: true, writable: false });
    return { output, input, release: () => closeSync(input) };
  });
}

export function openInputPipe(): InputPipe {
  return withFifo((path) => {
    // Without a reader it could not be opened for writing.
    const first = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writing = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    // The child's end blocks.
    const output = openSync(path, constants.O_RDONLY);
    closeSync(first);
    const input = new Socket({ fd: writing, readable: false, writable: true });
    return { input, output, release: () => closeSync(output) };
  });
}

function withFifo<Result>(open: (path: string) => Result): Result {
  const directory = mkdtempSync(join(tmpdir(), 'virt-sandbox-bench-'));
  try {
    const path = join(directory, 'pipe');
    execFileSync('mkfifo', [path]);
    return open(path);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
