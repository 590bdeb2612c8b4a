/** A result as a self-contained HTML page: pictures, figures, and the host. */

import type { Result } from '../result/result.js';
import { comparisonText, intervalText, noiseText, outlyingText } from '../result/text.js';
import { hostText } from '../run/host.js';
import { amount } from '../run/series.js';
import { colourStyle, escaped, type Labelled, longest, waterfallSvg } from './svg.js';

export async function page(results: readonly Result[]): Promise<string> {
  const timelines = results.flatMap(({ variants }) =>
    variants.flatMap(({ label, timeline }): Labelled[] => (timeline === undefined ? [] : [{ label, timeline }])),
  );
  // One picture for each timeline, all on one scale. In print each gets a page, and letters large enough to read.
  const pictures = await Promise.all(timelines.map((one) => waterfallSvg([one], longest(timelines))));
  return `<!doctype html>
<html lang="en" class="vs">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>virt-sandbox-bench</title>
<style>${colourStyle}
html{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
body{max-width:1240px;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .8rem;border-bottom:1px solid var(--grid);text-align:right}
th:first-child,td:first-child{text-align:left}
svg.vs{max-width:100%;height:auto}
@media print{svg.vs{display:block;max-height:96vh;width:auto;break-inside:avoid}body{margin:0}}
</style>
</head>
<body>
<h1>Where the time of a sandbox goes</h1>
${results.map(section).join('\n')}
${pictures.join('')}</body>
</html>
`;
}

const HEAD = ['', 'runs', 'min', 'median', 'p95', '95 % of the median', 'noise', 'outliers'];

function section({ host, date, version, unit, variants, comparisons }: Result): string {
  const rows = variants.map((variant) => {
    const { label, summary, values, failure } = variant;
    if (summary === null)
      return `<tr><td>${escaped(label)}</td><td colspan="7">${escaped(failure ?? 'nothing was measured')}</td></tr>`;
    const cells = [
      ...[label, String(summary.runs)],
      ...[summary.min, summary.median, summary.p95].map((value) => amount(value, unit)),
      ...[intervalText(summary, unit), noiseText(values, unit), outlyingText(variant, unit)],
    ];
    return `<tr>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`;
  });
  return `<p>${escaped(`virt-sandbox ${version}, ${date}: ${hostText(host)}`)}</p>
<table><tr>${HEAD.map((name) => `<th>${name}</th>`).join('')}</tr>
${rows.join('\n')}</table>
${comparisons.map((one) => `<p>${escaped(comparisonText(one))}</p>`).join('\n')}`;
}
