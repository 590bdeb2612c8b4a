/**
 * Reads KVM's counters of one machine while it runs. KVM keeps them in debugfs, one directory for each machine,
 * `/sys/kernel/debug/kvm/PID-FD`, until the machine is gone. https://docs.kernel.org/virt/kvm/api.html#kvm-get-stats-fd
 */
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, messageOf, valueOr } from '../../util/errors.js';
import { COUNTERS, type ExitReading, type ExitReadings } from '../timeline/exits.js';

export const KVM_COUNTERS = '/sys/kernel/debug/kvm';

/** How long to wait for the next look, in milliseconds. */
const SEARCH_MS = 5;
const READ_MS = 1;
/** Reading takes at most one in this many parts of a processor's time. */
const SHARE = 10;

export interface ExitReaderOptions {
  /** Tells QEMU from others: it is in the command line of QEMU. */
  readonly token: string;
  /** Read all the time, for the stages; else only at the end. */
  readonly often: boolean;
  /** Default: {@link KVM_COUNTERS}. */
  readonly directory?: string;
  /** Default: /proc. */
  readonly processes?: string;
}

/**
 * Keeps one counter open. So all of them outlive QEMU, and the last reading has all exits. That holds back the end of the
 * machine inside KVM until {@link stop}, but not that of QEMU.
 */
export class ExitReader {
  readonly #options: Required<ExitReaderOptions>;
  readonly #readings: ExitReading[] = [];
  readonly #others: ReadonlySet<string>;
  readonly #missing: string | undefined;
  /** The directory of the machine, and the file that keeps it there. */
  #machine: { readonly path: string; readonly file: number } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor({ directory = KVM_COUNTERS, processes = '/proc', ...options }: ExitReaderOptions) {
    this.#options = { directory, processes, ...options };
    this.#missing = whyMissing(directory);
    this.#others = new Set(this.#missing === undefined ? this.#machines() : []);
    if (this.#missing === undefined) this.#look();
  }

  /** Whether the machine was seen. */
  get found(): boolean {
    return this.#machine !== undefined;
  }

  /** Ends the reading. */
  stop(): ExitReadings {
    clearTimeout(this.#timer);
    if (this.#missing !== undefined) return { missing: this.#missing };
    if (this.#machine === undefined) return { missing: 'no machine under KVM was seen' };
    this.#read(this.#machine.path);
    closeSync(this.#machine.file);
    this.#machine = undefined;
    return { readings: this.#readings };
  }

  #look(): void {
    const begun = performance.now();
    this.#machine ??= this.#find();
    if (this.#machine !== undefined) this.#read(this.#machine.path);
    const took = performance.now() - begun;
    const isFound = this.#machine !== undefined;
    if (isFound && !this.#options.often) return;
    this.#timer = setTimeout(() => this.#look(), Math.max(isFound ? READ_MS : SEARCH_MS, took * (SHARE - 1)));
  }

  /** Opens a counter of our machine, once it is there. */
  #find(): { readonly path: string; readonly file: number } | undefined {
    const { directory, processes, token } = this.#options;
    const ours = this.#machines().find((name) => {
      if (this.#others.has(name)) return false;
      const path = join(processes, name.replace(/-.*/, ''), 'cmdline');
      return valueOr(() => readFileSync(path, 'utf8'), '').includes(token);
    });
    if (ours === undefined) return undefined;
    const path = join(directory, ours);
    // A machine that has just ended has no counters any more.
    const file = valueOr(() => openSync(join(path, 'exits'), 'r'), undefined);
    return file === undefined ? undefined : { path, file };
  }

  #machines(): string[] {
    return readdirSync(this.#options.directory).filter((name) => /^\d+-\d+$/.test(name));
  }

  /** Opens each counter anew: a file has one value, that of when it is read first. */
  #read(path: string): void {
    const counts = COUNTERS.flatMap((name) => {
      const text = valueOr(() => readFileSync(join(path, name), 'utf8'), undefined);
      return text === undefined ? [] : [[name, Number(text)] as const];
    });
    this.#readings.push({ time: Number(process.hrtime.bigint()), exits: Object.fromEntries(counts) });
  }
}

/** Why there are no counters to read, as a part of a sentence; undefined if there are. */
export function whyMissing(directory = KVM_COUNTERS): string | undefined {
  try {
    readdirSync(directory);
    return undefined;
  } catch (error) {
    if (isSystemError(error, 'EACCES')) return `only root may read ${directory}`;
    if (isSystemError(error, 'ENOENT'))
      return `${directory} is not there (mount -t debugfs debugfs /sys/kernel/debug makes it)`;
    return `${directory} cannot be read: ${messageOf(error)}`;
  }
}
