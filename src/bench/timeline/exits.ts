/**
 * Exits to the hypervisor: what each stage of a run has of them. KVM counts them for each machine since it was made, so a
 * stage has the difference of two readings.
 */
import type { Span } from './span.js';
import type { Timeline } from './timeline.js';

/**
 * The counters, as KVM calls them: `exits` is all of them; the others are the kinds that it tells apart, on one
 * manufacturer's processors or on both. It has no counters for the rest, such as CPUID.
 * https://docs.kernel.org/virt/kvm/api.html#kvm-get-stats-fd
 */
export const COUNTERS = [
  'exits',
  'io_exits',
  'mmio_exits',
  'halt_exits',
  'irq_exits',
  'irq_window_exits',
  'request_irq_exits',
  'signal_exits',
  'hypercalls',
  'pf_taken',
] as const;

/** Numbers of exits, by the names of KVM's counters. */
export type Exits = Readonly<Record<string, number>>;

export interface ExitReading {
  /** CLOCK_MONOTONIC in nanoseconds. */
  readonly time: number;
  readonly exits: Exits;
}

/** Of one machine, in order; or why there are none. */
export type ExitReadings = { readonly readings: readonly ExitReading[] } | { readonly missing: string };

/** The first reading comes up to about this long after the machine was made, in microseconds. */
const LATE = 5000;

/** Adds exits to a timeline. @param started when the run began: CLOCK_MONOTONIC in nanoseconds */
export function withExits(timeline: Timeline, readings: readonly ExitReading[], started: number): Timeline {
  const last = readings.at(-1);
  if (last === undefined) return timeline;
  const at = counted(readings.map(({ time, exits }) => ({ time: (time - started) / 1000, exits })));
  const gaps = readings.slice(1).map(({ time }, before) => (time - (readings[before]?.time ?? time)) / 1000);
  return {
    ...timeline,
    exits: last.exits,
    exitsApart: Math.max(0, ...gaps),
    stages: timeline.stages.map((one) => spanWithExits(one, at)),
  };
}

function spanWithExits(one: Span, at: (time: number) => Exits): Span {
  const [before, after] = [at(one.start), at(one.end)];
  const exits = Object.fromEntries(
    Object.entries(after)
      .map(([name, value]) => [name, Math.round(value - (before[name] ?? 0))] as const)
      .filter(([, value]) => value > 0),
  );
  const parts = one.parts.map((part) => spanWithExits(part, at));
  return { ...one, parts, ...(Object.keys(exits).length === 0 ? {} : { exits }) };
}

/** The counts at a time. Between two readings they are taken to grow evenly, since nobody knows better. */
function counted(readings: readonly ExitReading[]): (time: number) => Exits {
  const zero: ExitReading = { time: (readings[0]?.time ?? 0) - LATE, exits: {} };
  const all = [zero, ...readings];
  return (time) => {
    const next = all.findIndex((reading) => reading.time >= time);
    const [before, after] = next < 0 ? [all.at(-1), all.at(-1)] : [all[next - 1], all[next]];
    if (after === undefined || before === undefined) return {};
    const share = after.time > before.time ? Math.min(1, (time - before.time) / (after.time - before.time)) : 1;
    return Object.fromEntries(
      Object.entries(after.exits).map(([name, value]) => {
        const earlier = before.exits[name] ?? 0;
        return [name, earlier + (value - earlier) * share];
      }),
    );
  };
}

/** The kinds of exits, the most frequent first: `io_exits 3138, irq_exits 532`. */
export function kindsText(exits: Exits, most = 6): string {
  return Object.entries(exits)
    .filter(([name, value]) => name !== 'exits' && value > 0)
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([name, value]) => `${name} ${Math.round(value)}`)
    .join(', ');
}
