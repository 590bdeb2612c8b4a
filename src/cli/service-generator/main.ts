/**
 * The program virt-sandbox-service-generator. systemd runs it when it starts and at each daemon-reload, before any unit
 * is there: systemd.generator(7).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argumentError } from '../../config/errors.js';
import { serviceRoots } from '../../service/paths.js';
import { type GeneratedUnit, generateUnits, writeUnits } from '../../service/systemd/generate.js';
import { oneLine, valueOr } from '../../util/errors.js';
import { packageDirectory } from '../../util/programs.js';
import { runProgram } from '../program.js';
import { print } from '../terminal/output.js';
import { version } from '../version.js';

const PROGRAM = 'virt-sandbox-service-generator';

const USAGE = `Usage: ${PROGRAM} NORMAL-DIR [EARLY-DIR LATE-DIR]
       ${PROGRAM} --dry-run

Writes a unit for each service of the user into NORMAL-DIR. systemd runs it; --dry-run prints the units.
`;

/** Exit status where a service has no unit. systemd says so, and takes those that were made. */
const INCOMPLETE = 1;

/** From <sys/syslog.h>. */
const WARNING = 4;

type Report = (message: string) => void;

runProgram(PROGRAM, () => main(process.argv.slice(2)));

async function main(words: readonly string[]): Promise<number> {
  const [first = '', ...rest] = words;
  if (words.length === 1 && first === '--help') await print(USAGE);
  else if (words.length === 1 && first === '--version') await print(`${PROGRAM} version ${version}\n`);
  else if (words.length === 1 && first === '--dry-run') return generate(printUnits);
  else if (first.startsWith('/') && (rest.length === 0 || rest.length === 2))
    return generate((units, report) => writeUnits(first, units, report));
  else throw argumentError('generator-words', `${PROGRAM} takes one or three directories`, 'let systemd run it');
  return 0;
}

async function generate(use: (units: readonly GeneratedUnit[], report: Report) => Promise<void>): Promise<number> {
  const { SYSTEMD_SCOPE: scope } = process.env;
  // The systemd of root's own sessions: root's services are those of the host.
  if (scope === 'user' && process.geteuid?.() === 0) return 0;
  let status = 0;
  const report = (message: string) => {
    status = INCOMPLETE;
    tell(message, scope === 'system');
  };
  const program = join(packageDirectory(), 'bin/virt-sandbox-service');
  await use(await generateUnits({ roots: serviceRoots(), program }, report), report);
  return status;
}

async function printUnits(units: readonly GeneratedUnit[]): Promise<void> {
  await print(units.map(({ name, text }) => `# ${name}\n${text}`).join('\n'));
}

/** @param early by the host's systemd, whose generators have no stderr, while nothing but the kernel keeps a log */
function tell(message: string, early: boolean): void {
  const line = `${PROGRAM}: ${oneLine(message)}\n`;
  process.stderr.write(line);
  if (early) valueOr(() => writeFileSync('/dev/kmsg', `<${WARNING}>${line}`), undefined);
}
