/** The stages of a run while they are put together: where marks lie on its clock, and what lies between two of them. */
import type { MarkName } from '../../util/marks.js';
import type { Trace } from './marks-file.js';
import { type Span, span, type Where } from './span.js';

/** A mark is the first of its kind; these are the last. */
export type Moment = MarkName | 'operation.last' | 'output.last';

const LAST: Readonly<Partial<Record<Moment, MarkName>>> = {
  'operation.last': 'operation',
  'output.last': 'output.end',
};

export class Stages {
  readonly trace: Trace;
  readonly #started: number;
  readonly #spans: Span[] = [];

  /** @param started when the run began, of CLOCK_MONOTONIC in nanoseconds */
  constructor(trace: Trace, started: number) {
    this.trace = trace;
    this.#started = started;
  }

  get spans(): readonly Span[] {
    return this.#spans;
  }

  /** Where the last one ends. */
  get end(): number {
    return this.#spans.at(-1)?.end ?? 0;
  }

  /** How a sandbox came to be: from what was said of the connection, and of a saved machine. */
  get start(): 'cold' | 'warm' | 'container' {
    if (String(this.trace.first('connect.done')?.detail['uri']).startsWith('lxc:')) return 'container';
    return this.trace.first('warm.loaded') === undefined ? 'cold' : 'warm';
  }

  /** A stage that takes no time is none. */
  add(name: string, where: Where, start: number, end: number, parts: readonly Span[] = [], note?: string): void {
    if (end > start) this.#spans.push(span(name, where, start, end, parts, note));
  }

  /** Nothing where one of the two marks is missing. */
  between(name: string, where: Where, from: Moment, to: Moment, parts: readonly Span[] = [], note?: string): void {
    const start = this.at(from);
    const end = this.at(to);
    if (start !== undefined && end !== undefined) this.add(name, where, start, end, parts, note);
  }

  /** From where the last stage ends. */
  until(name: string, where: Where, end: number | undefined, parts: readonly Span[] = [], note?: string): void {
    if (end !== undefined) this.add(name, where, this.end, end, parts, note);
  }

  /** When something happened. */
  at(name: Moment): number | undefined {
    const last = LAST[name];
    const event = last === undefined ? this.trace.first(name) : this.trace.last(last);
    return event && this.time(event.time);
  }

  /** When QEMU says that something happened, the first time. */
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

  /** When the machine was let run, whoever did it. */
  get running(): number | undefined {
    return this.told('RESUME') ?? this.at('machine.running') ?? this.at('domain.created');
  }

  /** From nanoseconds of CLOCK_MONOTONIC. */
  time(nanoseconds: number): number {
    return (nanoseconds - this.#started) / 1000;
  }

  /** From seconds of the time of day. */
  ofDay(seconds: number | undefined): number | undefined {
    const process = this.trace.first('process');
    if (seconds === undefined || !process) return undefined;
    return this.time(process.time + (seconds * 1e9 - Number(process.detail['wallClock'])));
  }
}
