/** What a target of fuzzing is, and the limits that hold for all of them. */
import { writeFileSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { settle } from './settle.js';

/** Reads one input. Whatever it throws is a finding. */
export type Reader = (data: Buffer) => void | Promise<void>;

export interface Target {
  /**
   * `settling` is for promises that wait for nothing outside of this thread: settle.ts. What waits for a system call or
   * for a library's own thread is `async`, which costs a switch of threads for each input.
   */
  readonly kind: 'sync' | 'settling' | 'async';
  /** Largest input, in bytes. */
  readonly mostBytes: number;
  /** Inputs that `make test` has it read: as many as take about a second. */
  readonly quickRuns: number;
  readonly read: Reader;
  /**
   * Read some inputs a second time, repeated up to {@link REPEATED_BYTES}: what takes time with the square of a length
   * shows only there.
   */
  readonly repeats?: boolean;
}

/** Processor time for one input, in milliseconds. */
const MOST_MS = 1000;
/** Half of the largest packet of a guest. */
const REPEATED_BYTES = 128 << 10;
/** The first inputs are the seeds. Of the others, one of many is repeated, since that takes long. */
const REPEATED_FIRST = 32;
const REPEATED_EACH = 512;
/** Memory that one input may take: this many bytes, and this many times its own size. */
const MOST_MEMORY = 64 << 20;
const MEMORY_FACTOR = 64;

/**
 * The reader of a target that also throws if an input takes too much time or memory.
 * @param findingPath where the input is written before anything is thrown; the fuzzer does not always come to it
 */
export function limited({ kind, read, repeats = false }: Target, findingPath: string | undefined): Reader {
  const keep = (data: Buffer, error: unknown): never => {
    if (findingPath !== undefined) writeFileSync(findingPath, data);
    throw error;
  };
  let count = 0;
  const isRepeated = ({ length }: Buffer): boolean => {
    count += 1;
    return repeats && length > 0 && (count <= REPEATED_FIRST || count % REPEATED_EACH === 0);
  };
  if (kind !== 'async') {
    const readNow = kind === 'sync' ? read : (data: Buffer): void => settle(read(data));
    const measured = (data: Buffer): void => {
      const start = measure();
      readNow(data);
      check(data, start);
    };
    return (data) => {
      try {
        const before = glance();
        readNow(data);
        if (isSuspicious(data, before)) measured(data);
        if (isRepeated(data)) measured(repeated(data));
      } catch (error) {
        keep(data, error);
      }
    };
  }
  const measured = async (data: Buffer): Promise<void> => {
    const start = measure();
    await read(data);
    check(data, start);
  };
  return async (data) => {
    try {
      const before = glance();
      await read(data);
      if (isSuspicious(data, before)) await measured(data);
      if (isRepeated(data)) await measured(repeated(data));
    } catch (error) {
      keep(data, error);
    }
  };
}

function repeated(data: Buffer): Buffer {
  return Buffer.concat(Array<Buffer>(Math.ceil(REPEATED_BYTES / data.length)).fill(data), REPEATED_BYTES);
}

/** What is quickly seen: milliseconds on the wall, and bytes that are asked for, whether or not they are used. */
interface Glance {
  readonly time: number;
  readonly memory: number;
}

function glance(): Glance {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return { time: performance.now(), memory: heap + external };
}

/** True if the input has to be read again and measured: the machine may be busy, and memory may be asked for only. */
function isSuspicious(data: Buffer, before: Glance): boolean {
  const { time, memory } = glance();
  return time - before.time > MOST_MS || memory - before.memory > mostMemory(data);
}

function mostMemory({ length }: Buffer): number {
  return MOST_MEMORY + MEMORY_FACTOR * length;
}

/** What takes a system call: microseconds of the processor, and bytes that the process has in memory. */
interface Usage {
  readonly processor: NodeJS.CpuUsage;
  readonly memory: number;
}

function measure(): Usage {
  return { processor: process.cpuUsage(), memory: process.memoryUsage.rss() };
}

function check(data: Buffer, start: Usage): void {
  const memory = process.memoryUsage.rss() - start.memory;
  const { user, system } = process.cpuUsage(start.processor);
  const milliseconds = (user + system) / 1000;
  if (memory > mostMemory(data))
    throw new Error(`an input of ${data.length} bytes takes ${Math.round(memory / 2 ** 20)} MiB of memory`);
  if (milliseconds > MOST_MS)
    throw new Error(`an input of ${data.length} bytes takes ${Math.round(milliseconds)} ms of the processor`);
}
