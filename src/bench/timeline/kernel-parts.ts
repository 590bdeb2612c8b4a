/** What the kernel does between its first message and the init, out of its log. */
import type { Initcall, KernelLog } from './kernel-log.js';
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
  [/^NR_IRQS/, 'RCU, timers and interrupts'],
];

/** The kernel says it where it begins to unpack the initrd beside its initcalls, and where that is done. */
const UNPACKING = { begins: /^Trying to unpack rootfs image/, ends: /^Freeing initrd memory/ };

/** A stretch of the kernel's time, in microseconds of the run: a call, or what it said meanwhile. */
interface Call {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

interface Message {
  readonly at: number;
  readonly text: string;
}

/**
 * Initcalls, with what was said and which devices were looked at within, and the time between two messages of the kernel outside of them. What goes on
 * while the initrd is unpacked stands under that.
 */
export function kernelParts(log: KernelLog, { place, start, end, threshold }: KernelTimes): Span[] {
  const own = log.initcalls.filter(({ module }) => module === undefined);
  const returned = new Set(own.map((call) => call.end));
  const within = (at: number) => at > start && at < end;
  const messages = log.lines
    .filter(({ seconds, text }) => !returned.has(seconds) || !/^(?:initcall|probe of) /.test(text))
    .filter(({ text }) => !/^(?:\S+ \S+: )?calling {2}/.test(text))
    .map(({ seconds, text }) => ({ at: place(seconds), text }))
    .filter(({ at }) => within(at));
  const [probes, initcalls] = [true, false].map((looks) =>
    callsOf(
      own.filter(({ name }) => name.startsWith('probe of ') === looks),
      { place, start },
    ).filter((call) => within(call.end)),
  ) as [Call[], Call[]];
  // A device that is looked at outside of an initcall stands beside them.
  const beside = probes.filter((probe) => !initcalls.some((call) => probe.end > call.begin && probe.end < call.end));
  const calls = [...initcalls, ...beside].sort((a, b) => a.begin - b.begin);
  // Another thread says those.
  const ofCalls = messages.filter(({ text }) => !UNPACKING.begins.test(text) && !UNPACKING.ends.test(text));
  const known = { messages: ofCalls, probes, threshold, between: SHORT };
  const unpacking = unpackingOf(messages, calls);
  if (unpacking === undefined) return stretch({ begin: start, end }, calls, known, STARTING);
  const { begin: unpacks, end: unpacked, note } = unpacking;
  const name = 'unpacking the initrd, and initcalls meanwhile';
  return [
    ...stretch({ begin: start, end: unpacks }, calls, known, SHORT),
    span(name, 'guest', unpacks, unpacked, stretch({ begin: unpacks, end: unpacked }, calls, known, SHORT), note),
    ...stretch({ begin: unpacked, end }, calls, known, STARTING),
  ];
}

const SHORT = 'initcalls, short ones';
const STARTING = 'starting the init';
const REST = 'the rest of it';

/** The clock that initcalls are timed with first goes by ticks of 4 ms; so one begins where the one before it ends at the earliest. */
function callsOf(initcalls: readonly Initcall[], { place, start }: Pick<KernelTimes, 'place' | 'start'>): Call[] {
  let before = start;
  return initcalls.map(({ name, end: returned, microseconds }) => {
    const end = Math.max(before, place(returned));
    const begin = Math.max(before, end - microseconds);
    before = end;
    return { name, begin, end };
  });
}

/** From the call in which it begins to the end of the one in which it is done: no call is cut in two. */
function unpackingOf(messages: readonly Message[], calls: readonly Call[]) {
  const said = (pattern: RegExp) => messages.find(({ text }) => pattern.test(text))?.at;
  const [begins, ends] = [said(UNPACKING.begins), said(UNPACKING.ends)];
  if (begins === undefined || ends === undefined) return undefined;
  const around = (at: number) => calls.find((call) => call.begin < at && at < call.end);
  return {
    begin: around(begins)?.begin ?? begins,
    end: around(ends)?.end ?? ends,
    note: `${((ends - begins) / 1000).toFixed(1)} ms from the beginning of its unpacking to the end`,
  };
}

interface Known {
  readonly messages: readonly Message[];
  readonly probes: readonly Call[];
  readonly threshold: number;
  /** What lies between two calls. */
  readonly between: string;
}

/** The calls within, each with what is known of it, and what lies between two messages outside of them. */
function stretch(
  { begin, end }: Pick<Call, 'begin' | 'end'>,
  all: readonly Call[],
  known: Known,
  last: string,
): Span[] {
  const calls = all.filter((call) => call.begin >= begin && call.end <= end && call.end > call.begin);
  const outside = known.messages.filter(
    ({ at }) => at > begin && at < end && !calls.some((call) => at > call.begin && at <= call.end),
  );
  const events = [...outside, ...calls].sort((a, b) => timeOf(a) - timeOf(b));
  const parts: Span[] = [];
  let cursor = begin;
  let called = false;
  const gap = (until: number, name: string) => {
    if (until - cursor >= known.threshold) parts.push(span(name, 'guest', cursor, until));
    cursor = Math.max(cursor, until);
    called = false;
  };
  for (const event of events) {
    if ('text' in event) {
      gap(event.at, phase(event.text) ?? (called ? known.between : until(event.text)));
    } else if (event.end - event.begin < known.threshold) {
      called = true;
    } else {
      gap(event.begin, known.between);
      parts.push(span(event.name, 'guest', event.begin, event.end, inside(event, known)));
      cursor = event.end;
    }
  }
  gap(end, last);
  return parts;
}

/** Nothing where no part of it takes long: then its name says it all. */
function inside(call: Call, known: Known): Span[] {
  const probes = known.probes.filter(({ name }) => name !== call.name);
  const parts = stretch(call, probes, { ...known, between: REST }, REST);
  return parts.length > 1 ? parts : [];
}

function timeOf(event: Call | Message): number {
  return 'text' in event ? event.at : event.begin;
}

function phase(text: string): string | undefined {
  return PHASES.find(([pattern]) => pattern.test(text))?.[1];
}

function until(text: string): string {
  return `until “${shorten(text)}”`;
}

function shorten(text: string): string {
  return text.length > 44 ? `${text.slice(0, 43)}…` : text;
}
