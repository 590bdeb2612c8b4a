/**
 * A timeline as a picture: a waterfall, one bar below the other. Several timelines share one scale. The SVG is
 * self-contained: no script, no font, no URL. Its colours follow the reader's colour scheme, and suit print.
 */
import type * as Plot from '@observablehq/plot';
import { length as lengthOf, type Span, type Where } from '../timeline/span.js';
import type { Timeline } from '../timeline/timeline.js';
import { milliseconds, summaryLines } from './terminal.js';

export interface Labelled {
  readonly label: string;
  readonly timeline: Timeline;
}

const WIDTH = 1200;
const ROW_HEIGHT = 18;
const NAMES_WIDTH = 360;
const HEAD_HEIGHT = 58;
const AXIS_HEIGHT = 44;
const FOOT_HEIGHT = 44;
/** Parts with a smaller share of the whole are too narrow to be seen. */
const LEAST_SHOWN = 0.004;

/** The colours differ in lightness too, for print and for the colour-blind. */
const LIGHT: Readonly<Record<Where, string>> = {
  host: '#1f6fb2',
  libvirt: '#b35900',
  qemu: '#8a3ffc',
  guest: '#2e8540',
  measuring: '#8d8d8d',
  unexplained: '#d12771',
};
const DARK: Readonly<Record<Where, string>> = {
  host: '#6cb6ff',
  libvirt: '#ffab57',
  qemu: '#be95ff',
  guest: '#6fdc8c',
  measuring: '#a8a8a8',
  unexplained: '#ff7eb6',
};

export const colourStyle = `
.vs{--ink:#161616;--paper:#ffffff;--grid:#d0d0d0;${variables(LIGHT)}}
@media (prefers-color-scheme:dark){.vs{--ink:#f4f4f4;--paper:#161616;--grid:#4d4d4d;${variables(DARK)}}}
@media print{.vs{--ink:#000000;--paper:#ffffff;--grid:#bbbbbb;${variables(LIGHT)}}}`;

/** The length of a time axis that fits all timelines, in microseconds. */
export function longest(timelines: readonly Labelled[]): number {
  return Math.max(...timelines.map(({ timeline }) => timeline.wall));
}

/**
 * Draws one SVG document with every timeline on one scale.
 * @param length Length of the time axis, in microseconds.
 */
export async function waterfallSvg(timelines: readonly Labelled[], length = longest(timelines)): Promise<string> {
  const [plot, { parseHTML }] = await Promise.all([import('@observablehq/plot'), import('linkedom')]);
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  let top = 0;
  const charts = timelines.map(({ label, timeline }) => {
    const rows = rowsOf(timeline);
    const height = rows.length * ROW_HEIGHT + AXIS_HEIGHT + 8;
    const chart = waterfall(plot, document, rows, { height, wall: length / 1000 });
    const [told = '', ...more] = summaryLines(timeline);
    const aligned = more.join(' ');
    const piece = [
      `<g transform="translate(0,${top})">`,
      `<text x="12" y="24" font-size="16" font-weight="600">${escaped(label)}</text>`,
      `<text x="12" y="45" font-size="12">${escaped(told)}</text>`,
      `<g transform="translate(0,${HEAD_HEIGHT})">${inner(chart)}</g>`,
      `<text x="12" y="${HEAD_HEIGHT + height + 14}" font-size="12">${escaped(aligned)}</text></g>`,
    ].join('');
    top += HEAD_HEIGHT + height + FOOT_HEIGHT;
    return piece;
  });
  const size = `viewBox="0 0 ${WIDTH} ${top + 24}" width="${WIDTH}" height="${top + 24}"`;
  const title = escaped(timelines.map(({ label }) => label).join(', '));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="vs" ${size} `,
    `font-family="system-ui, sans-serif" role="img" aria-label="${title}">`,
    `<style>${colourStyle}\nsvg.vs{background:var(--paper)}\n.vs text{fill:var(--ink)}</style>`,
    `<rect width="100%" height="100%" fill="var(--paper)"/>${charts.join('')}${legend(top)}</svg>\n`,
  ].join('');
}

/** One chart as SVG: a bar for each row, its name on the left, its duration on the right. */
function waterfall(
  plot: typeof Plot,
  document: Plot.PlotOptions['document'],
  rows: readonly Row[],
  { height, wall }: { readonly height: number; readonly wall: number },
): string {
  const names = (isStage: boolean) =>
    plot.text(
      rows.filter(({ depth }) => (depth === 0) === isStage),
      {
        ...{ y: 'key', x: () => 0, text: 'name', textAnchor: 'end', dx: -8, fill: 'var(--ink)' },
        ...(isStage ? { fontWeight: 600 } : { fillOpacity: 0.8 }),
      },
    );
  const chart = plot.plot({
    document,
    width: WIDTH,
    height,
    marginLeft: NAMES_WIDTH,
    marginRight: 90,
    marginTop: 4,
    marginBottom: AXIS_HEIGHT,
    style: { fontSize: '12px', background: 'none', color: 'var(--ink)' },
    x: { domain: [0, wall], label: 'milliseconds since the execution' },
    y: { domain: rows.map(({ key }) => key), label: null, axis: null, padding: 0.18 },
    color: { type: 'identity' },
    marks: [
      plot.gridX({ stroke: 'var(--grid)', strokeOpacity: 1 }),
      plot.barX(rows, {
        y: 'key',
        x1: 'start',
        x2: 'end',
        fill: (row: Row) => `var(--${row.where})`,
        fillOpacity: (row: Row) => (row.depth === 0 ? 1 : 0.62),
        title: 'title',
      }),
      names(true),
      names(false),
      plot.text(rows, {
        ...{ y: 'key', x: 'end', text: 'took', textAnchor: 'start', dx: 5, fill: 'var(--ink)' },
        // Keeps the grid from striking through the text.
        ...{ stroke: 'var(--paper)', strokeWidth: 4 },
      }),
    ],
  });
  return chart.outerHTML;
}

interface Row {
  readonly key: string;
  readonly name: string;
  readonly where: Where;
  readonly depth: number;
  readonly start: number;
  readonly end: number;
  readonly took: string;
  readonly title: string;
}

function rowsOf(timeline: Timeline): Row[] {
  const rows: Row[] = [];
  const add = (one: Span, depth: number) => {
    if (depth > 0 && lengthOf(one) < timeline.wall * LEAST_SHOWN) return;
    const took = milliseconds(lengthOf(one));
    const start = one.start / 1000;
    const more = [one.note ?? [], one.exits === undefined ? [] : `exits: ${one.exits['exits']}`].flat();
    rows.push({
      key: String(rows.length),
      name: shorten(one.name),
      ...{ where: one.where, depth, start, end: one.end / 1000, took },
      title: [`${one.name}: ${took}, from ${milliseconds(one.start)}`, ...more].join('; '),
    });
    for (const part of one.parts) add(part, depth + 1);
  };
  for (const stage of timeline.stages) add(stage, 0);
  return rows;
}

function legend(top: number): string {
  const entries = Object.keys(LIGHT).map((where, at) => {
    const x = 12 + at * 130;
    const swatch = `<rect x="${x}" y="${top}" width="12" height="12" fill="var(--${where})"/>`;
    return `${swatch}<text x="${x + 18}" y="${top + 11}" font-size="12">${where}</text>`;
  });
  return entries.join('');
}

/** The chart as an element to nest in the picture. */
function inner(svg: string): string {
  return svg.replace(/^<svg /, '<svg x="0" y="0" ');
}

function shorten(name: string): string {
  return name.length > 52 ? `${name.slice(0, 51)}…` : name;
}

function variables(colours: Readonly<Record<Where, string>>): string {
  return Object.entries(colours)
    .map(([where, colour]) => `--${where}:${colour};`)
    .join('');
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
