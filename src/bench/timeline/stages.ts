/** Collects the stages of a run: places marks on the run's clock, and adds stages between them. */
import type { MarkName } from '../../util/marks.js';
import type { Trace } from './marks-file.js';
import { type Span, span, type Where } from './span.js';

/** A mark means the first one of its name; `.last` means the last one. */
export type Moment = MarkName | 'operation.last' | 'output.last';

const LAST: Readonly<Partial<Record<Moment, MarkName>>> = {
  'operation.last': 'operation',
  'output.last': 'output.end',
};

export class Stages {
  readonly trace: Trace;
  readonly #started: number;
  readonly #spans: Span[] = [];

  /** @param started When the run began: CLOCK_MONOTONIC in nanoseconds. */
  constructor(trace: Trace, started: number) {
    this.trace = trace;
    this.#started = started;
  }

  get spans(): readonly Span[] {
    return this.#spans;
  }

  /** Where the last stage ends. */
  get end(): number {
    return this.#spans.at(-1)?.end ?? 0;
  }

  /** How the sandbox was started, as the marks of the connection and of a snapshot tell. */
  get start(): 'cold' | 'warm' | 'container' {
    if (String(this.trace.first('connect.done')?.detail['uri']).startsWith('lxc:')) return 'container';
    return this.trace.first('warm.loaded') === undefined ? 'cold' : 'warm';
  }

  /** Adds a stage, unless it takes no time. */
  add(name: string, where: Where, start: number, end: number, parts: readonly Span[] = [], note?: string): void {
    if (end > start) this.#spans.push(span(name, where, start, end, parts, note));
  }

  /** Adds a stage between two marks, unless one of them is missing. */
  between(name: string, where: Where, from: Moment, to: Moment, parts: readonly Span[] = [], note?: string): void {
    const start = this.at(from);
    const end = this.at(to);
    if (start !== undefined && end !== undefined) this.add(name, where, start, end, parts, note);
  }

  /** Adds a stage from the end of the last one. */
  until(name: string, where: Where, end: number | undefined, parts: readonly Span[] = [], note?: string): void {
    if (end !== undefined) this.add(name, where, this.end, end, parts, note);
  }

  /** When a mark was set. */
  at(name: Moment): number | undefined {
    const last = LAST[name];
    const event = last === undefined ? this.trace.first(name) : this.trace.last(last);
    return event && this.time(event.time);
  }

  /** When QEMU's monitor first reported an event, with this status if one is given. */
  told(event: string, status?: string): number | undefined {
    const found = this.trace.all('monitor.event').find(({ detail }) => {
      const data = detail['data'] as Readonly<Record<string, unknown>> | undefined;
      return detail['event'] === event && (status === undefined || data?.['status'] === status);
    });
    const stamp = found?.detail['timestamp'] as
      | { readonly seconds?: number; readonly microseconds?: number }
      | undefined;
    if (stamp?.seconds === undefined) return undefined;
    return this.ofDay(stamp.seconds + (stamp.microseconds ?? 0) / 1e6);
  }

  /** When the machine began to run. */
  get running(): number | undefined {
    return this.told('RESUME') ?? this.at('machine.running') ?? this.at('domain.created');
  }

  /** Converts nanoseconds of CLOCK_MONOTONIC. */
  time(nanoseconds: number): number {
    return (nanoseconds - this.#started) / 1000;
  }

  /** Converts seconds of the time of day. */
  ofDay(seconds: number | undefined): number | undefined {
    const process = this.trace.first('process');
    if (seconds === undefined || !process) return undefined;
    return this.time(process.time + (seconds * 1e9 - Number(process.detail['wallClock'])));
  }
}
