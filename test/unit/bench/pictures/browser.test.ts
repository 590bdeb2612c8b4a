/** The pictures of a run in a real browser: in light and dark scheme, and in print. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { inflateSync } from 'node:zlib';
import { page } from '../../../../src/bench/pictures/html.js';
import { waterfallSvg } from '../../../../src/bench/pictures/svg.js';
import type { Result } from '../../../../src/bench/result/result.js';
import { summarize } from '../../../../src/bench/result/statistics.js';
import { span } from '../../../../src/bench/timeline/span.js';
import type { Timeline } from '../../../../src/bench/timeline/timeline.js';
import { findInPath } from '../../../../src/util/programs.js';
import { coloursOf } from '../../../helpers/png.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const BROWSER = findInPath('chromium-headless-shell') ?? findInPath('chromium');
const skip = BROWSER === undefined ? 'there is no Chromium' : false;

const LIGHT = { paper: '#ffffff', host: '#1f6fb2', guest: '#2e8540' };
const DARK = { paper: '#161616', host: '#6cb6ff', guest: '#6fdc8c' };
/** Values of Blink's setting for the colour scheme. */
const SCHEME = { dark: 0, light: 1 };

const timeline: Timeline = {
  wall: 2_000_000,
  stages: [span('start', 'host', 0, 500_000), span('kernel', 'guest', 500_000, 2_000_000)],
  ...{ alignment: undefined, unexplained: 0, measuring: 0, rest: 0 },
};
const result: Result = {
  ...{ format: 1, kind: 'run', date: '2026-01-01T00:00:00.000Z', version: '1.0 (abc)', command: [], unit: 's' },
  ...{ interrupted: false, comparisons: [] },
  host: {
    ...{ processors: 2, model: 'm', acceleration: 'tcg', kernel: '6', qemu: '10', libvirt: '11', node: '20' },
    ...{ connection: 'qemu:///system', load: 0 },
  },
  variants: [{ label: 'a', options: [], values: [2], summary: summarize([2]), parts: {}, timeline }],
};

/** The file that the browser makes of a text. */
function browse(t: TestContext, name: string, text: string, scheme: number, how: (path: string) => string): Buffer {
  const directory = scratchDirectory(t);
  writeFileSync(join(directory, name), text);
  // The browser takes the type from the name's ending.
  const out = join(directory, 'out.png');
  const words = [
    ...['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--window-size=1300,500'],
    ...[`--user-data-dir=${join(directory, 'profile')}`, `--blink-settings=preferredColorScheme=${scheme}`],
    ...[how(out), `file://${join(directory, name)}`],
  ];
  execFileSync(BROWSER ?? '', words, { stdio: 'ignore', timeout: 60_000 });
  return readFileSync(out);
}

const screenshot = (out: string) => `--screenshot=${out}`;

function assertColours(png: Buffer, own: typeof LIGHT, other: typeof LIGHT): void {
  const counts = coloursOf(png);
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  assert.equal(most?.[0], own.paper);
  for (const name of ['host', 'guest'] as const) {
    assert.ok((counts.get(own[name]) ?? 0) > 1000, `${name}: ${counts.get(own[name])} dots`);
    assert.equal(counts.get(other[name]), undefined, name);
  }
}

describe('in a browser', { skip }, () => {
  it('the page follows the reader’s colour scheme', async (t) => {
    const html = await page([result]);
    assertColours(browse(t, 'a.html', html, SCHEME.light, screenshot), LIGHT, DARK);
    assertColours(browse(t, 'b.html', html, SCHEME.dark, screenshot), DARK, LIGHT);
  });

  it('the picture is drawn by itself too', async (t) => {
    const svg = await waterfallSvg([{ label: 'a', timeline }]);
    assertColours(browse(t, 'a.svg', svg, SCHEME.dark, screenshot), DARK, LIGHT);
  });

  it('the page prints in dark ink on one sheet, whatever the scheme', async (t) => {
    const pdf = browse(t, 'a.html', await page([result]), SCHEME.dark, (out) => `--print-to-pdf=${out}`);
    assert.equal(sheetsOf(pdf), 1);
    const fills = fillsIn(contentOf(pdf));
    for (const colour of [LIGHT.host, LIGHT.guest, '#000000']) assert.ok(fills.has(colour), [...fills].join());
    for (const colour of Object.values(DARK)) assert.ok(!fills.has(colour), colour);
  });
});

describe('two long runs', { skip }, () => {
  it('are printed on one sheet each, after the figures', async (t) => {
    const rows = 64;
    const stages = Array.from({ length: rows }, (_, at) => span(`stage ${at}`, 'guest', at * 1e4, (at + 1) * 1e4));
    const long = { ...timeline, wall: rows * 1e4, stages };
    const [variant] = result.variants;
    assert.ok(variant);
    const variants = ['a', 'b'].map((label) => ({ ...variant, label, timeline: long }));
    const html = await page([{ ...result, kind: 'compare', variants }]);
    assert.equal(sheetsOf(browse(t, 'a.html', html, SCHEME.light, (out) => `--print-to-pdf=${out}`)), 3);
  });
});

function sheetsOf(pdf: Buffer): number {
  return pdf.toString('latin1').match(/\/Type\s*\/Page\b/g)?.length ?? 0;
}

/** The drawing operations of all pages. */
function contentOf(pdf: Buffer): string {
  const text = pdf.toString('latin1');
  return [...text.matchAll(/\/Filter\s*\/FlateDecode[^>]*>>\s*stream\r?\n/g)]
    .map(({ index, 0: head }) => {
      const start = index + head.length;
      return inflateSync(pdf.subarray(start, text.indexOf('endstream', start))).toString('latin1');
    })
    .join('\n');
}

/** The fill colours, as `#rrggbb`. */
function fillsIn(drawn: string): Set<string> {
  const hex = (share = '0') =>
    Math.round(Number(share) * 255)
      .toString(16)
      .padStart(2, '0');
  const fills = [...drawn.matchAll(/([\d.]+) ([\d.]+) ([\d.]+) rg/g)];
  return new Set(fills.map(([, red, green, blue]) => `#${hex(red)}${hex(green)}${hex(blue)}`));
}
