/** Reads the marks that a traced run of virt-sandbox writes (src/cli/sandbox/write-marks.ts). */
import { readFileSync } from 'node:fs';

/** One line of the file. */
export interface TraceEvent {
  readonly name: string;
  /** CLOCK_MONOTONIC in nanoseconds. */
  readonly time: number;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A module that the native init loaded. */
export interface LoadedModule {
  readonly name: string;
  /** 0 or EEXIST if the module is loaded. */
  readonly errno: number;
  readonly microseconds: number;
}

/** An operation of the common init. */
export interface TracedOperation {
  readonly step: string;
  /** Such as `mount /newroot`. */
  readonly what: string;
  readonly microseconds: number;
}

export class Trace {
  readonly events: readonly TraceEvent[];

  constructor(events: readonly TraceEvent[]) {
    this.events = events;
  }

  /** @throws {Error} when the file is no trace */
  static read(path: string): Trace {
    const events = readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line): TraceEvent => {
        const { name, time, detail = {} } = JSON.parse(line) as Partial<TraceEvent>;
        if (typeof name !== 'string' || typeof time !== 'number') throw new Error(`${path} is not a trace: ${line}`);
        return { name, time, detail };
      });
    return new Trace(events);
  }

  first(name: string): TraceEvent | undefined {
    return this.events.find((event) => event.name === name);
  }

  last(name: string): TraceEvent | undefined {
    return this.events.findLast((event) => event.name === name);
  }

  all(name: string): TraceEvent[] {
    return this.events.filter((event) => event.name === name);
  }

  /** The native init's report of its start, in microseconds of the guest's clock. */
  get init():
    | { readonly started: number; readonly ready: number; readonly modules: readonly LoadedModule[] }
    | undefined {
    const detail = this.first('ready')?.detail;
    if (!detail) return undefined;
    const { initStarted, initReady, modules } = detail;
    return { started: Number(initStarted), ready: Number(initReady), modules: modules as LoadedModule[] };
  }

  get operations(): TracedOperation[] {
    return this.all('operation').map(({ detail }) => ({
      step: String(detail['step']),
      what: describe(detail['operation'] as Record<string, unknown>),
      microseconds: Number(detail['microseconds']),
    }));
  }
}

function describe(operation: Readonly<Record<string, unknown>>): string {
  const thing = operation['target'] ?? operation['path'] ?? operation['link'] ?? operation['name'] ?? '';
  return `${String(operation['op'])} ${String(operation['op'] === 'symlink' ? operation['path'] : thing)}`.trim();
}
