/** Writes docs/boot-time.md from stored results. */

import { shellWord } from '../util/shell-word.js';
import { ablationText } from './experiments/ablate.js';
import { peersText } from './experiments/peers.js';
import { terminalWaterfall } from './pictures/terminal.js';
import { markdown } from './result/markdown.js';
import type { Result, VariantResult } from './result/result.js';
import {
  comparisonText,
  failureLine,
  intervalText,
  noiseText,
  outlyingText,
  overheadRows,
  partRows,
  percent,
} from './result/text.js';
import { hostText, QUIET_LOAD } from './run/host.js';
import { amount } from './run/series.js';
import { NESTED_MEANING } from './run/setting.js';
import { kindsText } from './timeline/exits.js';
import { length, rest, type Span } from './timeline/span.js';
import type { Timeline } from './timeline/timeline.js';

const INTRODUCTION = `# Where the time of a boot goes

\`virt-sandbox-bench\` measured everything below and wrote this page; [bench.md](bench.md) says how, and how to repeat
it. Each section names the build, the command and the load of the machine.

Instructions are those of the guest until its init is ready, counted by QEMU. They hardly differ from run to run,
whatever else the machine does (bench.md says by how much). But an instruction that accesses a device, or touches memory
for the first time, takes longer than one that adds two numbers. So instructions rank the changes, and the clock
decides. Seconds are the clock's. On a machine that did other work they only say which share of the time went where.
`;

export function bootTimeDocument(results: readonly Result[]): string {
  return [INTRODUCTION, ...results.map(section), limits(results)].join('\n');
}

function section(result: Result): string {
  switch (result.kind) {
    case 'run':
      return [heading(runHeading(result), result), figures(result), ...result.variants.flatMap(stages)].join('\n');
    case 'compare':
      return [
        heading('Compared', result),
        figures(result),
        ...countedParts(result),
        ...result.variants.flatMap(stages),
      ].join('\n');
    case 'ablate':
    case 'tune':
      return [
        heading(
          `What each thing is worth${result.host.acceleration === 'kvm' ? ' under KVM' : ''}, ` +
            `from the profile ${result.variants[0]?.profile ?? ''}`,
          result,
        ),
        'Each thing is changed by itself. A negative worth is a saving. ' +
          'Worths do not add up exactly, since one thing may\ndo another’s work.\n',
        fenced(ablationText(result)),
      ].join('\n');
    case 'peers':
      return [heading('Beside others', result), fenced(peersText(result))].join('\n');
  }
}

function runHeading({ variants }: Result): string {
  const headings = { cold: 'A boot', warm: 'A warm start', container: 'A container' };
  const start = variants.find(({ timeline }) => timeline !== undefined)?.timeline?.start;
  return start === undefined ? 'A run' : headings[start];
}

function heading(text: string, { kind, host, date, version, command, unit }: Result): string {
  const asked = command.length === 0 ? [] : [`    ${command.map(shellWord).join(' ')}`];
  const busy =
    unit === 's' && host.load > QUIET_LOAD
      ? ['**The machine did other work**, which is part of every time below.']
      : [];
  const measured = `virt-sandbox ${version}, ${date.slice(0, 10)}; ${hostText(host)}.`;
  // The text of the others says it.
  const setting = host.nested && (kind === 'run' || kind === 'compare') ? [NESTED_MEANING] : [];
  return `${[`## ${text}`, ...asked, measured, ...setting, ...busy].join('\n\n')}\n`;
}

function figures({ variants, comparisons, unit }: Result): string {
  const rows = variants.map((variant) => {
    const { label, summary, values, failure } = variant;
    return summary === null
      ? [label, failureLine(failure ?? ''), '', '', '', '', '']
      : [
          label,
          amount(summary.median, unit),
          intervalText(summary, unit),
          amount(summary.min, unit),
          String(summary.runs),
          noiseText(values, unit),
          outlyingText(variant, unit),
        ];
  });
  const compared = comparisons.map((one) => `- ${comparisonText(one)}\n`);
  return [markdown(['', 'median', '95 % interval', 'least', 'runs', 'noise', 'outliers'], rows), compared.join('')]
    .filter((text) => text !== '')
    .join('\n');
}

/** Parts of counted instructions. Times have stages instead. */
function countedParts({ variants, unit }: Result): string[] {
  if (unit !== 'instructions') return [];
  return variants.map((one) => markdown([one.label, 'instructions', 'of the whole'], partRows(one, unit)));
}

function stages(variant: VariantResult): string[] {
  const { label, timeline } = variant;
  if (timeline === undefined) return [];
  const rows = timeline.stages.map((stage) => [
    stage.name,
    stage.where,
    `${(length(stage) / 1000).toFixed(1)} ms`,
    shareOf(stage, timeline),
    rest(stage) > 0 ? `${(rest(stage) / 1000).toFixed(1)} ms` : '',
    ...(timeline.exits === undefined ? [] : [String(stage.exits?.['exits'] ?? 0), kindsText(stage.exits ?? {}, 2)]),
  ]);
  const exits = timeline.exits === undefined ? [] : ['exits to KVM', 'most of them'];
  return [
    `### ${label}: one run in detail\n`,
    markdown(['stage', 'where', 'took', 'of the run', 'outside its parts', ...exits], rows),
    fenced(terminalWaterfall(timeline, 110, 2000)),
    ...overhead(variant),
  ];
}

/** Share of the run. Time that only measuring costs is not part of it. */
function shareOf(stage: Span, { wall, measuring }: Timeline): string {
  return stage.where === 'measuring' ? '' : percent(length(stage) / (wall - measuring));
}

/** Medians of all runs, which say more than the one run in detail. */
function overhead(variant: VariantResult): string[] {
  const rows = overheadRows(variant, 's');
  if (rows.length === 0) return [];
  return [
    `### ${variant.label}: time outside QEMU and the guest\n`,
    markdown(['medians', 'where', 'took', 'of the run'], rows),
  ];
}

function limits(results: readonly Result[]): string {
  const texts = results
    .filter(({ kind }) => kind === 'run')
    .flatMap((result) =>
      result.variants.flatMap(({ label, timeline }) =>
        timeline === undefined ? [] : [limitText(`${runHeading(result)}, ${label}`, timeline)],
      ),
    );
  return texts.length === 0 ? '' : `## What limits remain\n\n${texts.join('\n')}`;
}

/** The longest stages: where a faster start would have to begin. */
function limitText(label: string, timeline: Timeline): string {
  const longest = [...timeline.stages]
    .filter(({ where }) => where !== 'measuring')
    .sort((a, b) => length(b) - length(a))
    .slice(0, 6)
    .map((stage) => {
      const took = `${(length(stage) / 1000).toFixed(0)} ms, ${shareOf(stage, timeline)} of the run`;
      return `- **${stage.name}** (${stage.where}): ${took}\n`;
    });
  return `${label}: its longest stages.\n\n${longest.join('')}`;
}

function fenced(text: string): string {
  return `\`\`\`\n${text.trimEnd()}\n\`\`\`\n`;
}
