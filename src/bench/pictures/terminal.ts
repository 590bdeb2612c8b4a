/** A timeline as text: a waterfall of block characters. */
import type { Alignment } from '../timeline/clock.js';
import { kindsText } from '../timeline/exits.js';
import { length, type Span } from '../timeline/span.js';
import type { Timeline } from '../timeline/timeline.js';

const BAR_WIDTH = 40;
const BLOCKS = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const NAME_WIDTH = 46;
const EXITS_WIDTH = 7;
/** Parts with a smaller share of the whole are left out. */
const LEAST_SHARE = 0.004;

/**
 * @param columns Width of the terminal.
 * @param least Shorter parts are left out; microseconds.
 */
export function terminalWaterfall(timeline: Timeline, columns: number, least = timeline.wall * LEAST_SHARE): string {
  const isCounted = timeline.exits !== undefined;
  const taken = NAME_WIDTH + 12 + (isCounted ? EXITS_WIDTH + 1 : 0);
  const room = Math.max(10, Math.min(BAR_WIDTH * 2, columns - taken));
  const lines = isCounted ? [`${' '.repeat(NAME_WIDTH)} ${'took'.padStart(9)} ${'exits'.padStart(EXITS_WIDTH)}`] : [];
  const draw = (one: Span, depth: number) => {
    if (depth > 0 && length(one) < least) return;
    const name = `${'  '.repeat(depth)}${one.name}`;
    const shown = name.length > NAME_WIDTH ? `${name.slice(0, NAME_WIDTH - 1)}…` : name.padEnd(NAME_WIDTH);
    const exits = isCounted ? ` ${String(one.exits?.['exits'] ?? 0).padStart(EXITS_WIDTH)}` : '';
    lines.push(`${shown} ${milliseconds(length(one)).padStart(9)}${exits} ${bar(one, timeline.wall, room)}`.trimEnd());
    for (const part of one.parts) draw(part, depth + 1);
  };
  for (const stage of timeline.stages) draw(stage, 0);
  return `${lines.join('\n')}\n${summaryLines(timeline).join('\n')}\n`;
}

/** Lines that a picture cannot show: the sums, how exact the guest's clock is, and the kinds of exits to KVM. */
export function summaryLines(timeline: Timeline): string[] {
  const { wall, unexplained, measuring, rest, alignment, exits, exitsApart = 0 } = timeline;
  const sums = [
    `${milliseconds(wall)} from execution to exit`,
    `${milliseconds(unexplained)} unexplained`,
    `${milliseconds(rest)} within stages but in none of the parts shown`,
    ...(measuring > 0 ? [`${milliseconds(measuring)} spent on asking the guest`] : []),
  ];
  return [
    sums.join('; '),
    alignment === undefined ? unaligned(timeline) : aligned(alignment),
    ...(exits === undefined
      ? []
      : [`${exits['exits']} exits to KVM: ${kindsText(exits)}; read ${milliseconds(exitsApart)} apart at most`]),
  ];
}

function aligned({ error, method }: Alignment): string {
  const how = method === 'round-trip' ? 'half of the shortest round trip' : 'by the handshake alone';
  return `The guest's clock is on the host's to within ${milliseconds(error)} (${how}).`;
}

function unaligned({ start }: Timeline): string {
  switch (start) {
    case 'warm':
      return "All times are the host's: a restored machine says how long its steps took, but not when.";
    case 'container':
      return "The container's clock is the host's.";
    default:
      return "The guest's clock is not on the host's: it counts instructions, or runs wrong.";
  }
}

export function milliseconds(microseconds: number): string {
  const value = microseconds / 1000;
  return `${value.toFixed(value < 10 ? 2 : 1)} ms`;
}

function bar({ start, end }: Span, wall: number, room: number): string {
  const from = Math.round((start / wall) * room * 8);
  const to = Math.max(from + 1, Math.round((end / wall) * room * 8));
  const lead = Math.floor(from / 8);
  const eighths = to - lead * 8;
  // Block characters fill from the left, so a bar begins at a character boundary.
  const full = '█'.repeat(Math.floor(eighths / 8));
  const part = eighths % 8 === 0 ? '' : (BLOCKS[(eighths % 8) - 1] ?? '');
  return ' '.repeat(lead) + full + part;
}
