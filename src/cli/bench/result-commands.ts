/** virt-sandbox-bench compare, history, picture, document: the commands that read results that were kept. */
import { print } from '../terminal/output.js';
import { regressionStatus, thresholdOf } from './checks.js';
import { draw, finish, type OutputArguments, type PictureArguments, wantsPicture, waterfalls } from './output.js';

export async function compareFiles(
  args: OutputArguments & PictureArguments & { readonly threshold?: string | undefined },
  file: string,
  against: string,
): Promise<number> {
  const { compareResults, differingHosts } = await import('../../bench/result/compare.js');
  const { readResult } = await import('../../bench/result/result.js');
  const threshold = thresholdOf(args.threshold);
  const [one, other] = [readResult(file), readResult(against)];
  for (const difference of differingHosts(one, other, file, against))
    process.stderr.write(`virt-sandbox-bench: ${difference}\n`);
  const result = compareResults(one, other, file, against);
  return Math.max(await finish(result, { ...args, history: 'none' }), regressionStatus(result, threshold));
}

export async function historyCommand(args: OutputArguments): Promise<number> {
  const { historyFile, historyText, readHistory } = await import('../../bench/result/history.js');
  const path = args.history ?? historyFile();
  const { entries, unreadable } = readHistory(path);
  if (unreadable > 0)
    process.stderr.write(`virt-sandbox-bench: ${unreadable} lines of ${path} are left out: they are no results\n`);
  await print(args.json ? `${JSON.stringify(entries, null, 2)}\n` : historyText(entries));
  return 0;
}

/** @throws {Error} if no run in the files was measured in detail */
export async function pictureCommand(args: PictureArguments, files: readonly string[]): Promise<number> {
  const { readResult } = await import('../../bench/result/result.js');
  const results = files.map(readResult);
  const shown = results.flatMap(({ variants }) => variants.filter(({ timeline }) => timeline !== undefined));
  if (shown.length === 0) throw new Error(`there is no timeline in ${files.join(', ')}`);
  if (wantsPicture(args)) await draw(results, args);
  else await print(await waterfalls(results));
  return 0;
}

export async function documentCommand(files: readonly string[]): Promise<number> {
  const { bootTimeDocument } = await import('../../bench/document.js');
  const { readResult } = await import('../../bench/result/result.js');
  await print(bootTimeDocument(files.map(readResult)));
  return 0;
}
