/**
 * A timeline in the trace-event format, which Perfetto and chrome://tracing open.
 * https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
import type { Span, Where } from '../timeline/span.js';
import type { Timeline } from '../timeline/timeline.js';

export interface TraceEventFile {
  readonly traceEvents: readonly object[];
  readonly displayTimeUnit: 'ms';
}

/** Threads of the one process that the file shows. */
const ROWS: Readonly<Record<Where, number>> = { host: 1, libvirt: 2, qemu: 3, guest: 4, measuring: 5, unexplained: 6 };

export function chromeTrace(
  timelines: readonly { readonly label: string; readonly timeline: Timeline }[],
): TraceEventFile {
  const events: object[] = [];
  timelines.forEach(({ label, timeline }, index) => {
    const pid = index + 1;
    events.push({ name: 'process_name', ph: 'M', pid, args: { name: label } });
    for (const [name, tid] of Object.entries(ROWS)) {
      events.push({ name: 'thread_name', ph: 'M', pid, tid, args: { name } });
      events.push({ name: 'thread_sort_index', ph: 'M', pid, tid, args: { sort_index: tid } });
    }
    const add = ({ name, where, start, end, parts, note, exits }: Span, row: Where) => {
      // Parts stay in the row of their whole, even if something else did the work.
      events.push({
        name,
        cat: where,
        ph: 'X',
        pid,
        tid: ROWS[row],
        ts: start,
        dur: end - start,
        args: { ...(note === undefined ? {} : { note }), ...exits },
      });
      for (const part of parts) add(part, row);
    };
    for (const stage of timeline.stages) add(stage, stage.where);
  });
  return { traceEvents: events, displayTimeUnit: 'ms' };
}
