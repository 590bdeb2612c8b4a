/** What a target of fuzzing is, and the limits that hold for all of them. */
import { writeFileSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';

/** Reads one input. Whatever it throws is a finding. */
export type Reader = (data: Buffer) => void | Promise<void>;

export interface Target {
  /** A reader that returns promises costs a thread switch for each input, so most targets are `sync`. */
  readonly kind: 'sync' | 'async';
  /** Largest input, in bytes. */
  readonly mostBytes: number;
  /** Inputs that `make test` has it read: as many as take about a second. */
  readonly quickRuns: number;
  readonly read: Reader;
}

/** Processor time for one input, in milliseconds. */
const MOST_MS = 1000;
/** Memory that one input may leave behind: this many bytes, and this many times its own size. */
const MOST_MEMORY = 64 << 20;
const MEMORY_FACTOR = 64;

/**
 * The reader of a target that also throws if an input takes too much time or memory.
 * @param findingPath where the input is written before anything is thrown; the fuzzer does not always come to it
 */
export function limited({ kind, read }: Pick<Target, 'kind' | 'read'>, findingPath: string | undefined): Reader {
  const keep = (data: Buffer, error: unknown): never => {
    if (findingPath !== undefined) writeFileSync(findingPath, data);
    throw error;
  };
  if (kind === 'sync') {
    return (data) => {
      const before = start();
      try {
        read(data);
        check(data, before);
      } catch (error) {
        keep(data, error);
      }
    };
  }
  return async (data) => {
    const before = start();
    try {
      await read(data);
      check(data, before);
    } catch (error) {
      keep(data, error);
    }
  };
}

interface Usage {
  /** Milliseconds. */
  readonly wall: number;
  /** Microseconds. */
  readonly processor: NodeJS.CpuUsage;
  /** Bytes. */
  readonly memory: number;
}

function start(): Usage {
  return { wall: performance.now(), processor: process.cpuUsage(), memory: memoryInUse() };
}

/** A garbage collection only makes the second number smaller, so what is above the limit was taken by this input. */
function check(data: Buffer, before: Usage): void {
  const more = memoryInUse() - before.memory;
  if (more > MOST_MEMORY + MEMORY_FACTOR * data.length)
    throw new Error(`an input of ${data.length} bytes leaves ${Math.round(more / 2 ** 20)} MiB in use`);
  // The processor time costs a system call; a busy machine makes the time on the wall long.
  if (performance.now() - before.wall < MOST_MS) return;
  const { user, system } = process.cpuUsage(before.processor);
  const milliseconds = (user + system) / 1000;
  if (milliseconds > MOST_MS) throw new Error(`an input of ${data.length} bytes takes ${Math.round(milliseconds)} ms`);
}

function memoryInUse(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}
