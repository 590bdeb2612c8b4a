/** Results as SVG pictures, as a page, and as trace events. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { chromeTrace } from '../../../../src/bench/pictures/chrome.js';
import { page } from '../../../../src/bench/pictures/html.js';
import { waterfallSvg } from '../../../../src/bench/pictures/svg.js';
import { result, SLOWER, timeline, VALUES, variant } from '../../../helpers/bench-results.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

describe('pictures', () => {
  const shown = [
    { label: 'A', timeline },
    { label: 'B & C', timeline },
  ];

  it('are self-contained, well-formed SVG', async (t) => {
    const svg = await waterfallSvg(shown);
    const path = join(scratchDirectory(t), 'w.svg');
    writeFileSync(path, svg);
    execFileSync('xmllint', ['--noout', path], { stdio: ['ignore', 'ignore', 'inherit'] });
    assert.doesNotMatch(svg.replace('http://www.w3.org/2000/svg', ''), /https?:|<script|href/);
    assert.match(svg, /prefers-color-scheme:dark/);
    assert.match(svg, /@media print/);
    assert.equal(svg.match(/an_initcall: 500\.0 ms/g)?.length, 2);
    assert.match(svg, /B &amp; C/);
  });

  it('are a self-contained page', async () => {
    const html = await page([result('compare', [variant('a', VALUES, { timeline }), variant('b', SLOWER)])]);
    assert.doesNotMatch(html.replace('http://www.w3.org/2000/svg', ''), /https?:|<script|<link/);
    assert.match(html, /20\.0 % more than a/);
  });

  it('are trace events, each span once', () => {
    const { traceEvents } = JSON.parse(JSON.stringify(chromeTrace(shown))) as {
      traceEvents: { ph: string; name: string; ts: number; dur: number; pid: number }[];
    };
    const spans = traceEvents.filter(({ ph }) => ph === 'X');
    assert.equal(spans.length, 10);
    assert.deepEqual(
      spans.filter(({ name }) => name === 'an_initcall').map(({ ts, dur, pid }) => [ts, dur, pid]),
      [
        [200_000, 500_000, 1],
        [200_000, 500_000, 2],
      ],
    );
  });
});

describe('trace events', () => {
  it('follow the format: events of a row are nested or disjoint', () => {
    const { traceEvents, displayTimeUnit } = JSON.parse(JSON.stringify(chromeTrace([{ label: 'A', timeline }]))) as {
      displayTimeUnit: string;
      traceEvents: { ph: string; name: string; cat?: string; ts: number; dur: number; pid: number; tid?: number }[];
    };
    assert.equal(displayTimeUnit, 'ms');
    for (const one of traceEvents) {
      assert.ok(one.ph === 'X' || one.ph === 'M', one.ph);
      assert.ok(one.name !== '' && Number.isInteger(one.pid), one.name);
      if (one.ph === 'X') assert.ok(one.ts >= 0 && one.dur >= 0 && Number.isInteger(one.tid), one.name);
    }
    const spans = traceEvents.filter(({ ph }) => ph === 'X');
    for (const one of spans)
      for (const other of spans.filter(({ tid }) => tid === one.tid)) {
        const apart = one.ts + one.dur <= other.ts || other.ts + other.dur <= one.ts;
        const [outer, inner] = one.dur >= other.dur ? [one, other] : [other, one];
        const inside = inner.ts >= outer.ts && inner.ts + inner.dur <= outer.ts + outer.dur;
        assert.ok(apart || inside, `${one.name} and ${other.name}`);
      }
  });
});
