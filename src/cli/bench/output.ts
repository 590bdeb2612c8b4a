/** Where the result of a measurement goes: stdout, files, pictures, the history. */
import { accessSync, constants, existsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Result } from '../../bench/result/result.js';
import { print } from '../terminal/output.js';

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

/** The exit status that shells use for SIGINT. */
const INTERRUPTED = 130;

/**
 * Checks that every output file can be written, before hours of measuring.
 * @throws {Error} for the first that cannot
 */
export function checkOutputs({ output, svg, html, trace }: OutputArguments & PictureArguments): void {
  for (const path of [output, svg, html, trace]) {
    if (path === undefined) continue;
    try {
      accessSync(existsSync(path) ? path : dirname(path), constants.W_OK);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`${path} cannot be written: ${why}; nothing was measured`);
    }
  }
}

/**
 * Prints the result, appends it to the history and writes the files that were asked for.
 * @returns the exit status: 1 if a variant failed or has no values
 * @throws {ReaderGone} and `output-failed` of standard output, after the files are written
 */
export async function finish(
  result: Result,
  args: OutputArguments & PictureArguments,
  text?: (result: Result) => string,
): Promise<number> {
  const json = `${JSON.stringify(result, null, 2)}\n`;
  // The measuring took long, so print the result before trying anything that may fail. If printing fails, keep the
  // result in its file first.
  const { resultText } = await import('../../bench/result/text.js');
  const printFailure = await print(
    args.json ? json : (text ?? resultText)(result) + (await waterfalls([result])),
  ).catch((error: Error) => error);
  if (args.output !== undefined) writeFileSync(args.output, json);
  if (args.history !== 'none') {
    const { appendHistory, historyFile } = await import('../../bench/result/history.js');
    appendHistory(args.history ?? historyFile(), result);
  }
  // An interrupted measurement may have figures and no timeline.
  if (wantsPicture(args) && !(result.interrupted && labelled([result]).length === 0)) await draw([result], args);
  if (printFailure) throw printFailure;
  if (result.interrupted) return INTERRUPTED;
  return result.variants.some(({ failure, values }) => failure !== undefined || values.length === 0) ? 1 : 0;
}

export function wantsPicture({ svg, html, trace }: PictureArguments): boolean {
  return svg !== undefined || html !== undefined || trace !== undefined;
}

function labelled(results: readonly Result[]) {
  return results.flatMap(({ variants }) =>
    variants.flatMap(({ label, timeline }) => (timeline === undefined ? [] : [{ label, timeline }])),
  );
}

export async function waterfalls(results: readonly Result[]): Promise<string> {
  const { terminalWaterfall } = await import('../../bench/pictures/terminal.js');
  const columns = process.stdout.columns ?? 110;
  return labelled(results)
    .map(({ label, timeline }) => `\n${label}, one run in detail:\n${terminalWaterfall(timeline, columns)}`)
    .join('');
}

export async function draw(results: readonly Result[], { svg, html, trace }: PictureArguments): Promise<void> {
  const timelines = labelled(results);
  if (timelines.length === 0) throw new Error('there is no timeline to draw: no run was measured in detail');
  if (trace !== undefined) {
    const { chromeTrace } = await import('../../bench/pictures/chrome.js');
    writeFileSync(trace, JSON.stringify(chromeTrace(timelines)));
  }
  if (svg === undefined && html === undefined) return;
  const { waterfallSvg } = await import('../../bench/pictures/svg.js');
  if (svg !== undefined) writeFileSync(svg, await waterfallSvg(timelines));
  if (html !== undefined) {
    const { page } = await import('../../bench/pictures/html.js');
    writeFileSync(html, await page(results));
  }
}
