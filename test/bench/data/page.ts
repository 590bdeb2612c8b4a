/** docs/data-path.md: the figures of one run of the benchmark `data`. */
import { markdown } from '../../../src/bench/result/markdown.js';
import { best, type Cell, type DataResult, ECHOES } from './measure.js';
import { OWN, type SystemName } from './systems.js';

const COLUMNS = 120;

/** Text in lines that are as long as the documents' may be. */
export function wrapped(text: string, indent = ''): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && line.length + 1 + word.length > COLUMNS) lines.push(`${indent}${word}`);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}

/**
 * @param machine one line that says of which versions and which machine the figures are
 * @param runs how often each system ran
 */
export function dataPage(result: DataResult, machine: string, runs: number): string {
  return `# Files: how fast they are inside

Compare reading and writing in a sandbox with virtme-ng and with a bare QEMU that has the same shares, in seconds of the
guest's own clock. This page is written by its benchmark:

    make bench BENCH="--only data --runs ${runs} --page docs/data-path.md"

${wrapped(machine)}

[data-path-nested.md](data-path-nested.md) has the same under KVM, in a machine that is emulated.

${figures(result, 'this host')}## How it is measured

${systemsText('*This host* runs the rows without a machine, once, with full caches.')}
${methodText("the guest's CLOCK_MONOTONIC", 'a minute')}
- Figures are medians of the runs: ${runs}. The machines are emulated unless it says KVM, so a row with much computing (the C
  build, \`npm ci\`) says little about files.

## Limits

- On a machine that does other work the figures are worthless, and ratios are better than they.
- What serves files is a process of the host, so a host with one processor has other ratios.
`;
}

/** The tables, and why a row has no figure. @param host what the host is called */
export function figures(result: DataResult, host: string): string {
  return `## Seconds

Lower is better, but for the echoes.

${markdown(...secondsTable(result, host))}
## Ratios

Of the time of virtme-ng, the better of its two, and of the bare QEMU with the same root. Below 1 the sandbox is faster.
The ratio of the echoes is turned round, so that this holds for it as well. virtme-ng's 9p keeps what it has read for
ever, as \`--root-cache always\` does.

${markdown(...ratioTable(result))}
${reasons(result)}`;
}

/** @param host a sentence on what runs the rows without a machine */
export function systemsText(host: string): string {
  return wrapped(
    '- **The systems.** Each boots the same kernel once a run, with 1 GiB of memory and one processor. *virt-sandbox* ' +
      "has a writable `host-bind`, over virtiofs, for the rows that write. *virtme-ng, virtiofs* has the host's root to " +
      "write to; *virtme-ng, 9p* has a directory over 9p. *Bare QEMU* boots the sandbox's own image with its command " +
      'line, its devices and its mount options, and file servers that were started by hand: no libvirt, no launcher. ' +
      "Over virtiofs that is virtiofsd with root's rights and file handles, and it has the guest read a program again " +
      "at each start; the sandbox has [a server of its own](decisions/0055-server-of-the-root.md), with a user's " +
      `rights. ${host}`,
    '  ',
  );
}

/**
 * @param clock whose clock times the rows
 * @param limit how long a row may take
 */
export function methodText(clock: string, limit: string): string {
  return `${wrapped(
    `- **A row** is a script that one static program starts inside. It is timed by ${clock}. No boot is in it. ` +
      '*First*, and every row but those that say *again*, `rm`, `tar x` and the write, begins with empty caches of the ' +
      'guest. The caches of the host are full, for all.',
    '  ',
  )}
- **It counts only if it is right.** What a row prints, or what it has made, is digested, and has to be what the same
  row gives on the host. What was written is read again on the host, every page of it.
- **Echoes**: a line is written to the program's stdin, and the next one when it is back on stdout. This is timed by the
  host.
- **A row that takes more than ${limit}** is ended, and the next one begins.`;
}

type Table = [head: string[], rows: string[][]];

function named({ rows, amounts }: DataResult): { name: string; what: string }[] {
  return [...rows, { name: ECHOES, what: `one-line echoes a second, of ${amounts.echoes.toLocaleString('en-US')}` }];
}

function secondsTable(result: DataResult, host: string): Table {
  const systems: { name: SystemName; title: string }[] = [...result.systems, { name: 'host', title: host }];
  const rows = named(result).map(({ name, what }) => [
    what,
    ...systems.map((system) => cellText(result.cells.get(system.name)?.get(name))),
  ]);
  return [['', ...systems.map(({ title }) => title)], rows];
}

function ratioTable(result: DataResult): Table {
  const { cells } = result;
  const rows = named(result).map(({ name, what }) => {
    const at = (system: SystemName | undefined) => system && cells.get(system)?.get(name);
    const virtme = best(at('virtme-virtiofs'), at('virtme-9p'));
    return [
      what,
      ...OWN.flatMap(({ system, bare }) => [
        ratioText(at(system), virtme),
        ...(bare ? [ratioText(at(system), at(bare))] : []),
      ]),
    ];
  });
  const head = OWN.flatMap(({ title, bare }) => [`${title} ÷ virtme-ng`, ...(bare ? ['÷ bare QEMU'] : [])]);
  return [['', ...head], rows];
}

function cellText(cell: Cell | undefined): string {
  if (cell === undefined) return '';
  if ('failure' in cell) return 'fails';
  const { amount, unit } = cell.quantity;
  if (cell.isMore) return `> ${amount}`;
  return unit === '/s' ? amount.toFixed(0) : amount.toFixed(amount < 10 ? 2 : 1);
}

function ratioText(own: Cell | undefined, other: Cell | undefined): string {
  if (own === undefined || other === undefined || 'failure' in own || 'failure' in other) return '';
  if (own.isMore) return '';
  const ratio = own.quantity.amount / other.quantity.amount;
  return `${other.isMore ? '< ' : ''}${(own.quantity.unit === '/s' ? 1 / ratio : ratio).toFixed(2)}`;
}

/** Why rows fail, or were left out, one item each. Rows of a system that fail alike are one. */
function reasons(result: DataResult): string {
  const failures = result.systems.flatMap(({ name: system, title }) => {
    const rows = new Map<string, string[]>();
    for (const { name, what } of named(result)) {
      const cell = result.cells.get(system)?.get(name);
      if (cell !== undefined && 'failure' in cell) rows.set(cell.failure, [...(rows.get(cell.failure) ?? []), what]);
    }
    return [...rows].map(
      ([failure, [first, ...others]]) =>
        `${title}, ${first}${others.length > 0 ? ` and ${others.length} more` : ''}: ${failure}`,
    );
  });
  const items = [...failures, ...result.leftOut.map((reason) => `left out: ${reason}`)];
  return items.length === 0 ? '' : `${items.map((item) => wrapped(`- ${item}.`, '  ')).join('\n')}\n\n`;
}
