/**
 * The way down a tree of the host, by descriptors. Each directory is opened in the one above, and a symbolic link is
 * never followed: a guest, or another program, may have put one there a moment before. Only the last few directories are
 * open; the way up opens the others again, and checks that they are the same.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { bytesOf, textOf } from '../../../util/raw-text.js';
import { callError, MOVED } from './calls.js';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

/** How much of a path people see, in characters: a guest may send a path of a million bytes. */
const SHOWN_CHARACTERS = 500;

/** How many directories are open at a time, besides the first ones. */
const MOST_OPEN = 16;
const STAY_OPEN = 2;

interface Level {
  /** Undefined: closed. */
  fd: number | undefined;
  readonly name: string;
  readonly device: bigint;
  readonly inode: bigint;
}

export class Descent {
  readonly #levels: Level[] = [];

  /**
   * @param path the directory in which it begins; links on the way to it are followed
   * @throws the error of a system call
   */
  constructor(path: string) {
    this.#add(openSync(bytesOf(path), O_RDONLY | O_DIRECTORY), path);
  }

  /** Directories that were entered. */
  get depth(): number {
    return this.#levels.length - 1;
  }

  /** The descriptor of the directory that was entered last. */
  get fd(): number {
    const fd = this.#levels.at(-1)?.fd;
    if (fd === undefined) throw new Error('no directory is open');
    return fd;
  }

  /** A path for system calls, through the last directory. Processes of this one's user can use it too. */
  path(name: Buffer): Buffer {
    return pathIn(this.fd, name);
  }

  /** For people: the directory in which it begins, and the end of the way from there. */
  describe(name: Buffer): string {
    const [top, ...levels] = this.#levels.map((level) => level.name);
    let shown = textOf(name);
    for (const level of levels.reverse()) {
      if (level.length + shown.length >= SHOWN_CHARACTERS) {
        shown = below('…', shown);
        break;
      }
      shown = below(level, shown);
    }
    return below(top ?? '', shown);
  }

  /** @throws the error of a system call: ENOTDIR if it is no directory, or a link */
  enter(name: Buffer): void {
    const fd = openSync(this.path(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const far = this.#levels.length - MOST_OPEN;
    if (far >= STAY_OPEN) close(this.#levels[far]);
    this.#add(fd, textOf(name));
  }

  /** Opens the directory above, while the last one still lets this process do it. @throws as {@link leave} */
  openAbove(): void {
    const above = this.#levels.at(-2);
    if (above === undefined || above.fd !== undefined) return;
    above.fd = openSync(this.path(Buffer.from('..')), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const { dev, ino } = fstatSync(above.fd, { bigint: true });
    if (dev !== above.device || ino !== above.inode) throw callError(MOVED);
  }

  /** Goes back to the directory above. @throws the error of a system call, ESTALE if it was moved */
  leave(): void {
    this.openAbove();
    const level = this.#levels.pop();
    if (level !== undefined) close(level);
  }

  /**
   * Opens a directory below the one that was entered first. @param names the way from there
   * @returns its descriptor, for the caller to close
   * @throws the error of a system call: ENOTDIR if one is no directory, or a link
   */
  openBelowFirst(names: readonly Buffer[]): number {
    const first = this.#levels[1]?.fd;
    if (first === undefined) throw new Error('no directory was entered');
    let fd = openSync(`/proc/${process.pid}/fd/${first}/.`, O_RDONLY | O_DIRECTORY);
    for (const name of names) {
      const above = fd;
      try {
        fd = openSync(pathIn(above, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      } finally {
        closeSync(above);
      }
    }
    return fd;
  }

  close(): void {
    for (const level of this.#levels.splice(0)) close(level);
  }

  #add(fd: number, name: string): void {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    this.#levels.push({ fd, name, device: dev, inode: ino });
  }
}

/** The path of an entry, for system calls, through a descriptor of its directory. */
export function pathIn(directory: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/${process.pid}/fd/${directory}/`), name]);
}

/** As it is written: `link/..` is not what is above `link`. */
function below(directory: string, rest: string): string {
  if (rest === '' || rest === '.') return directory;
  const start = directory.replace(/(^|\/)\.$/, '$1');
  return start === '' || start.endsWith('/') ? `${start}${rest}` : `${start}/${rest}`;
}

function close(level: Level | undefined): void {
  if (level?.fd === undefined) return;
  closeSync(level.fd);
  level.fd = undefined;
}
