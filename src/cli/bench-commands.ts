/** What each command of virt-sandbox-bench does: from its arguments to its exit status. */
import { writeFileSync } from 'node:fs';
import type { Result } from '../bench/result.js';
import { build } from './version.js';
import { splitWords } from './words.js';

export interface OutputArguments {
  readonly json: boolean;
  readonly output?: string | undefined;
  readonly history?: string | undefined;
}

export interface PictureArguments {
  readonly svg?: string | undefined;
  readonly html?: string | undefined;
  readonly trace?: string | undefined;
}

export interface MeasureArguments extends OutputArguments, PictureArguments {
  readonly runs?: number | undefined;
  readonly warmUp: number;
  readonly profile?: string | undefined;
  readonly options: string;
  readonly deterministic: boolean;
  readonly command: readonly string[];
}

/** As a shell has it for SIGINT. */
const INTERRUPTED = 130;
/** A boot that counts instructions is the same every time. */
const RUNS = { timed: 10, counted: 3 };
/** The least that a comparison takes. */
const COMPARED = 3;

export async function runCommand(
  args: MeasureArguments & { readonly floor: boolean; readonly timeline: boolean },
): Promise<number> {
  const { inSession, sandboxVariant } = await import('../bench/session.js');
  const { measure } = await import('../bench/measure.js');
  const options = splitWords(args.options);
  const result = await inSession(sessionOptions(args, options), async (session) => {
    const variant = await sandboxVariant('virt-sandbox', { ...args, options });
    return measure(session, [{ ...variant, label: `virt-sandbox (${variant.profile.name})` }], {
      kind: 'run',
      runs: args.runs ?? (args.deterministic ? RUNS.counted : RUNS.timed),
      warmUp: args.warmUp,
      withFloor: args.floor,
      inDetail: args.timeline,
    });
  });
  return finish(result, args);
}

export async function compareOptions(
  args: MeasureArguments & { readonly against: string; readonly threshold?: string | undefined },
): Promise<number> {
  const { inSession, sandboxVariant } = await import('../bench/session.js');
  const { measure } = await import('../bench/measure.js');
  const threshold = thresholdOf(args.threshold);
  const options = splitWords(args.options);
  const against = splitWords(args.against);
  const result = await inSession(sessionOptions(args, options), async (session) => {
    const variants = [
      await sandboxVariant(`B: ${args.against || 'without options'}`, { ...args, options: against }),
      await sandboxVariant(`A: ${args.options || 'without options'}`, { ...args, options }),
    ];
    const runs = args.runs ?? (args.deterministic ? COMPARED : RUNS.timed);
    return measure(session, variants, {
      ...{ kind: 'compare', runs, warmUp: args.warmUp, withFloor: true },
      inDetail: wantsPicture(args),
    });
  });
  return Math.max(await finish(result, args), regressed(result, threshold));
}

export async function compareFiles(
  args: OutputArguments & PictureArguments & { readonly threshold?: string | undefined },
  file: string,
  against: string,
): Promise<number> {
  const { compareResults } = await import('../bench/compare.js');
  const { readResult } = await import('../bench/result.js');
  const threshold = thresholdOf(args.threshold);
  const result = compareResults(readResult(file), readResult(against), file, against);
  return Math.max(await finish(result, { ...args, history: 'none' }), regressed(result, threshold));
}

export async function ablateCommand(args: MeasureArguments & { readonly only?: string | undefined }): Promise<number> {
  const { inSession, sandboxVariant } = await import('../bench/session.js');
  const { ablate, ablationText } = await import('../bench/ablate.js');
  const options = splitWords(args.options);
  const result = await inSession(sessionOptions(args, options), async (session) => {
    const base = await sandboxVariant('as it is', { ...args, options });
    const only = args.only === undefined ? undefined : new RegExp(args.only);
    return ablate(session, base, { runs: args.runs ?? (args.deterministic ? 1 : COMPARED), only });
  });
  return finish(result, args, ablationText);
}

export async function tuneCommand(
  args: MeasureArguments & {
    readonly name: string;
    readonly to?: string | undefined;
    readonly only?: string | undefined;
  },
): Promise<number> {
  const { inSession, sandboxVariant } = await import('../bench/session.js');
  const { tune } = await import('../bench/tune.js');
  const { ablationText } = await import('../bench/ablate.js');
  const options = splitWords(args.options);
  const result = await inSession(sessionOptions(args, options), async (session) => {
    const base = await sandboxVariant('as it is', { ...args, options });
    const only = args.only === undefined ? undefined : new RegExp(args.only);
    return tune(session, base, { name: args.name, path: args.to, only });
  });
  return finish(result, args, ablationText);
}

export async function peersCommand(args: MeasureArguments): Promise<number> {
  const { inSession, sandboxVariant } = await import('../bench/session.js');
  const { measurePeers, peersText } = await import('../bench/peers.js');
  const options = splitWords(args.options);
  const result = await inSession(sessionOptions(args, options), async (session) =>
    measurePeers(session, await sandboxVariant('virt-sandbox', { ...args, options }), args.runs ?? COMPARED),
  );
  return finish(result, args, peersText);
}

export async function historyCommand(args: OutputArguments): Promise<number> {
  const { historyFile, historyText, readHistory } = await import('../bench/history.js');
  const path = args.history ?? historyFile();
  const { entries, unreadable } = readHistory(path);
  if (unreadable > 0)
    process.stderr.write(`virt-sandbox-bench: ${unreadable} lines of ${path} are left out: they are no results\n`);
  process.stdout.write(args.json ? `${JSON.stringify(entries, null, 2)}\n` : historyText(entries));
  return 0;
}

export async function pictureCommand(args: PictureArguments, files: readonly string[]): Promise<number> {
  const { readResult } = await import('../bench/result.js');
  const results = files.map(readResult);
  const shown = results.flatMap(({ variants }) => variants.filter(({ timeline }) => timeline !== undefined));
  if (shown.length === 0) throw new Error(`there is no timeline in ${files.join(', ')}`);
  if (wantsPicture(args)) await draw(results, args);
  else process.stdout.write(await waterfalls(results));
  return 0;
}

export async function documentCommand(files: readonly string[]): Promise<number> {
  const { bootTimeDocument } = await import('../bench/document.js');
  const { readResult } = await import('../bench/result.js');
  process.stdout.write(bootTimeDocument(files.map(readResult)));
  return 0;
}

function sessionOptions(args: MeasureArguments, options: readonly string[]) {
  const profile = args.profile === undefined ? [] : ['--profile', args.profile];
  const command = ['virt-sandbox-bench', ...process.argv.slice(2)];
  return { version: build, command, options: [...options, ...profile], deterministic: args.deterministic };
}

/** Prints the result and keeps it where it is to be kept. */
async function finish(
  result: Result,
  args: OutputArguments & PictureArguments,
  text?: (result: Result) => string,
): Promise<number> {
  const json = `${JSON.stringify(result, null, 2)}\n`;
  if (args.output !== undefined) writeFileSync(args.output, json);
  if (args.history !== 'none') {
    const { appendHistory, historyFile } = await import('../bench/history.js');
    appendHistory(args.history ?? historyFile(), result);
  }
  if (args.json) {
    process.stdout.write(json);
  } else {
    const { resultText } = await import('../bench/text.js');
    process.stdout.write((text ?? resultText)(result));
    process.stdout.write(await waterfalls([result]));
  }
  // The figures come first: they are there even where there is nothing to draw.
  if (wantsPicture(args) && !(result.interrupted && labelled([result]).length === 0)) await draw([result], args);
  if (result.interrupted) return INTERRUPTED;
  return result.variants.some(({ failure, values }) => failure !== undefined || values.length === 0) ? 1 : 0;
}

function wantsPicture({ svg, html, trace }: PictureArguments): boolean {
  return svg !== undefined || html !== undefined || trace !== undefined;
}

function labelled(results: readonly Result[]) {
  return results.flatMap(({ variants }) =>
    variants.flatMap(({ label, timeline }) => (timeline === undefined ? [] : [{ label, timeline }])),
  );
}

async function waterfalls(results: readonly Result[]): Promise<string> {
  const { terminalWaterfall } = await import('../bench/pictures/terminal.js');
  const columns = process.stdout.columns ?? 110;
  return labelled(results)
    .map(({ label, timeline }) => `\n${label}, one run in detail:\n${terminalWaterfall(timeline, columns)}`)
    .join('');
}

async function draw(results: readonly Result[], { svg, html, trace }: PictureArguments): Promise<void> {
  const timelines = labelled(results);
  if (timelines.length === 0) throw new Error('there is no timeline to draw: no run was measured in detail');
  if (trace !== undefined) {
    const { chromeTrace } = await import('../bench/pictures/chrome.js');
    writeFileSync(trace, JSON.stringify(chromeTrace(timelines)));
  }
  if (svg === undefined && html === undefined) return;
  const { waterfallSvg } = await import('../bench/pictures/svg.js');
  if (svg !== undefined) writeFileSync(svg, await waterfallSvg(timelines));
  if (html !== undefined) {
    const { page } = await import('../bench/pictures/html.js');
    writeFileSync(html, await page(results));
  }
}

/** `5%` or `0.05` */
function thresholdOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (text.trim() === '' || !(value >= 0)) throw new Error(`--threshold takes a share such as 5%, and not ${text}`);
  return value;
}

/** A regression is one only where the interval leaves no doubt that it is slower at all, and the median says that it is by that much. */
function regressed(result: Result, threshold: number | undefined): number {
  if (threshold === undefined) return 0;
  const compared = result.comparisons.filter(({ label }) => !label.startsWith('bare QEMU'));
  return compared.some(({ verdict, ratio }) => verdict === 'slower' && ratio > 1 + threshold) ? 1 : 0;
}
