/** What the kernel does between its first message and the init, out of its log. */
import type { KernelLog } from './kernel-log.js';
import { type Span, span } from './span.js';

/** In microseconds. */
export interface KernelTimes {
  /** From a time of the log to one of the run. */
  readonly place: (seconds: number) => number;
  readonly start: number;
  readonly end: number;
  /** What takes less is not shown by itself. */
  readonly threshold: number;
}

/** Named by what the kernel says at their end, where that is plainer than the message. */
const PHASES: readonly (readonly [RegExp, string])[] = [
  [/^Freeing SMP alternatives memory/, 'patching alternatives, retpolines and returns'],
  [/^Freeing unused kernel image \(initmem\)/, 'freeing the memory of initialization'],
  [/^Write protecting the kernel/, 'write-protecting the kernel'],
  [/^x86\/mm: Checked W\+X/, 'looking for memory both writable and executable'],
  [/^x86\/mm: Memory block|^smpboot: CPU0/, 'setting up the processor'],
  [/^printk: log_buf_len/, 'mapping memory'],
  [/^SLUB:/, 'memory allocators'],
  [/^ftrace: allocating/, 'ftrace: preparing the entries of functions'],
  [/^Freeing initrd memory/, 'unpacking the initrd, and initcalls meanwhile'],
  [/^NR_IRQS/, 'RCU, timers and interrupts'],
];

/**
 * Initcalls, and the time between two messages of the kernel outside of them. The clock that initcalls are timed with first goes by ticks of
 * 4 ms; so an initcall begins where the line before it ends at the earliest.
 */
export function kernelParts(log: KernelLog, { place, start, end, threshold }: KernelTimes): Span[] {
  const calls = new Map(log.initcalls.filter(({ module }) => module === undefined).map((call) => [call.end, call]));
  const parts: Span[] = [];
  let cursor = start;
  for (const { seconds, text } of log.lines) {
    const at = place(seconds);
    if (at <= cursor) continue;
    if (at >= end) break;
    const call = calls.get(seconds);
    const named = call && text.includes(call.name);
    const begins = named ? Math.max(cursor, at - call.microseconds) : cursor;
    if (begins - cursor >= threshold)
      parts.push(span(named ? 'initcalls, short ones' : phase(text), 'guest', cursor, begins));
    if (at - begins >= threshold) parts.push(span(named ? call.name : phase(text), 'guest', begins, at));
    cursor = at;
  }
  if (end - cursor >= threshold) parts.push(span('starting the init', 'guest', cursor, end));
  return parts;
}

function phase(text: string): string {
  return PHASES.find(([pattern]) => pattern.test(text))?.[1] ?? `until “${shorten(text)}”`;
}

function shorten(text: string): string {
  return text.length > 44 ? `${text.slice(0, 43)}…` : text;
}
