/** virt-sandbox-ctl ps: the sandboxes that run. */
import { type ListedSandbox, runningSandboxes } from '../../control/list.js';
import type { SandboxRecord } from '../../control/record.js';
import { oneLine } from '../../util/errors.js';
import { columns, printJson, printLines, shortened } from '../output.js';
import { type CtlArguments, isSet, textsOf, usageError, wantsJson } from './arguments.js';
import { describeRecord, uriOf } from './describe.js';
import { agoText, spanText } from './human.js';

const HEADINGS = ['NAME', 'COMMAND', 'CREATED', 'STATUS', 'KIND', 'CONNECTION'];
/** Of a command, without --no-trunc. */
const COMMAND_COLUMNS = 30;

export async function ps(args: CtlArguments): Promise<number> {
  const fits = nameFilter(textsOf(args, 'filter'));
  const asJson = wantsJson(args, 'ps');
  const running = await runningSandboxes({ all: isSet(args, 'all') });
  const all = running.filter(({ called }) => fits(called)).sort(byAge);
  if (asJson) await printJson(all.map(jsonOf));
  else if (isSet(args, 'quiet')) await printLines(all.map(({ called }) => oneLine(called)));
  else await printLines(psTable(all, args, Date.now()));
  return 0;
}

/**
 * @returns whether a name fits one of the filters; with none every name does
 * @throws {SandboxError} `usage`
 */
export function nameFilter(filters: readonly string[]): (name: string) => boolean {
  const patterns = filters.map((filter) => {
    const [, pattern] = /^name=(.*)$/s.exec(filter) ?? [];
    if (pattern === undefined) throw usageError(`--filter ${JSON.stringify(filter)} is not name=PATTERN`, 'ps');
    try {
      return new RegExp(pattern, 'u');
    } catch {
      throw usageError(`--filter ${JSON.stringify(filter)} has no regular expression`, 'ps');
    }
  });
  return (name) => patterns.length === 0 || patterns.some((pattern) => pattern.test(name));
}

/** The newest first. Those without a record may just be starting. */
function byAge(a: ListedSandbox, b: ListedSandbox): number {
  const [of, other] = [createdAt(a), createdAt(b)];
  return of === other ? a.called.localeCompare(b.called) : other - of;
}

function createdAt({ record }: ListedSandbox): number {
  return record === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(record.created);
}

function jsonOf({ called, record }: ListedSandbox): object {
  if (record === undefined) return { name: called, status: 'unknown' };
  return { ...describeRecord(record), name: called, status: 'running' };
}

/** The lines of the table. */
export function psTable(all: readonly ListedSandbox[], args: CtlArguments, now: number): string[] {
  const rows = all.map(({ called, record }) => [
    oneLine(called),
    ...(record === undefined ? ['', '', 'Unknown', '', ''] : cells(record, isSet(args, 'no-trunc'), now)),
  ]);
  return columns([...(isSet(args, 'noheading') ? [] : [HEADINGS]), ...rows]);
}

function cells(record: SandboxRecord, full: boolean, now: number): string[] {
  const created = new Date(record.created);
  const command = oneLine(record.command.join(' '));
  const { platform, acceleration } = record;
  return [
    full ? command : shortened(command, COMMAND_COLUMNS),
    agoText(created, now),
    `Up ${spanText((now - created.getTime()) / 1000)}`,
    acceleration === undefined ? platform : `${platform} (${acceleration})`,
    uriOf(record),
  ];
}
