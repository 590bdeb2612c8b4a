/** Parts of the kernel's stage, from its log: what it does between its first message and the init. */
import type { Initcall, KernelLog } from './kernel-log.js';
import { type Span, span } from './span.js';

/** In microseconds. */
export interface KernelTimes {
  /** Converts seconds of the log to microseconds of the run. */
  readonly toRun: (seconds: number) => number;
  readonly start: number;
  readonly end: number;
  /** Shorter parts are not shown. */
  readonly threshold: number;
}

/** Names of phases that end with a message, where a name is plainer than the message itself. */
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

/** Messages at the beginning and at the end of unpacking the initrd, which runs in parallel with the initcalls. */
const UNPACKING = { begins: /^Trying to unpack rootfs image/, ends: /^Freeing initrd memory/ };

/** An initcall or a probe, in microseconds of the run. */
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
 * Parts are initcalls, with the messages and probes inside them, and the time between two messages outside of
 * initcalls. Everything that runs while the initrd is unpacked is a part of that.
 */
export function kernelParts(log: KernelLog, { toRun, start, end, threshold }: KernelTimes): Span[] {
  const own = log.initcalls.filter(({ module }) => module === undefined);
  const returned = new Set(own.map((call) => call.end));
  const within = (at: number) => at > start && at < end;
  const messages = log.lines
    .filter(({ seconds, text }) => !returned.has(seconds) || !/^(?:initcall|probe of) /.test(text))
    .filter(({ text }) => !/^(?:\S+ \S+: )?calling {2}/.test(text))
    .map(({ seconds, text }) => ({ at: toRun(seconds), text }))
    .filter(({ at }) => within(at));
  const [probes, initcalls] = [true, false].map((looks) =>
    callsOf(
      own.filter(({ name }) => name.startsWith('probe of ') === looks),
      { toRun, start },
    ).filter((call) => within(call.end)),
  ) as [Call[], Call[]];
  // A probe outside of all initcalls counts as one.
  const beside = probes.filter((probe) => !initcalls.some((call) => probe.end > call.begin && probe.end < call.end));
  const calls = [...initcalls, ...beside].sort((a, b) => a.begin - b.begin);
  // The messages about unpacking come from another thread.
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
const REST = 'rest';

/** The clock of the first initcalls has ticks of 4 ms, so let no call begin before the previous one ends. */
function callsOf(initcalls: readonly Initcall[], { toRun, start }: Pick<KernelTimes, 'toRun' | 'start'>): Call[] {
  let before = start;
  return initcalls.map(({ name, end: returned, microseconds }) => {
    const end = Math.max(before, toRun(returned));
    const begin = Math.max(before, end - microseconds);
    before = end;
    return { name, begin, end };
  });
}

/** Unpacking, extended to whole calls: no call is cut in two. */
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
  /** Name for the time between two calls. */
  readonly between: string;
}

/** The calls between `begin` and `end` with their parts, and the time between messages outside of them. */
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

/** Parts of one call; empty if only one is long enough to show, since the call's name then says it all. */
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
