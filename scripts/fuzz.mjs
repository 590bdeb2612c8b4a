// Fuzzes everything, and prints a table: node scripts/fuzz.mjs [TARGET…]
//
// scripts/fuzz-c.mjs fuzzes the C programs and scripts/fuzz-ts.mjs the TypeScript; both explain FUZZ_SECONDS, FUZZ_RUNS,
// SEED and JOBS, which go to all targets. The exit status is 0 if nothing was found.
import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const scripts = ['fuzz-c.mjs', 'fuzz-ts.mjs']
  .map((name) => fileURLToPath(new URL(name, import.meta.url)))
  .filter((script) => existsSync(script));
const wanted = process.argv.slice(2);
const seed = process.env.SEED || String(randomInt(1, 2 ** 31));
const env = { ...process.env, SEED: seed };

const HEADER = ['target', 'executions', 'exec/s', 'coverage', 'findings', 'seed'];
const WIDTHS = [18, 12, 9, 14, 9, 11];

process.stderr.write(`seed ${seed}; SEED=${seed} repeats this run\n`);
const sides = scripts.map((script) => ({ script, names: selected(script) })).filter(({ names }) => names.length > 0);
const known = sides.flatMap(({ names }) => names);
const unknown = wanted.find((name) => !known.includes(name));
if (unknown !== undefined) {
  process.stderr.write(`fuzz: there is no target ${unknown}; the scripts print their names with --list\n`);
  process.exit(1);
}

row(HEADER);
let executions = 0;
const findings = [];
// One after the other: each side uses all processors.
for (const { script, names } of sides) await fuzz(script, names);
process.stdout.write(`${executions} executions, ${findings.length} findings\n`);
for (const { target, input, repeat, problem } of findings)
  process.stdout.write(`${target}: ${problem ?? `${input}\n  ${repeat}`}\n`);

/** Those of a side's targets that were asked for; all of them if none was. */
function selected(script) {
  const { stdout } = spawnSync(process.execPath, [script, '--list'], { encoding: 'utf8' });
  const names = stdout.split('\n').filter((name) => name !== '');
  return wanted.length === 0 ? names : names.filter((name) => wanted.includes(name));
}

async function fuzz(script, names) {
  const child = spawn(process.execPath, [script, ...names], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  let count = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    show(JSON.parse(line));
    count += 1;
  }
  const code = await ended;
  if (count < names.length) findings.push({ target: script, problem: `only ${count} of ${names.length} targets ran` });
  if (code !== 0 || count < names.length) process.exitCode = 1;
}

function show(result) {
  const { target, seconds, coverage, edges } = result;
  const rate = Math.round(result.executions / Math.max(seconds, 0.001));
  row([
    target,
    result.executions,
    rate,
    edges === undefined ? coverage : `${coverage}/${edges}`,
    result.findings,
    result.seed,
  ]);
  executions += result.executions;
  if (result.findings > 0) findings.push(result);
}

function row(cells) {
  const text = cells.map((cell, index) =>
    index === 0 ? String(cell).padEnd(WIDTHS[0]) : String(cell).padStart(WIDTHS[index]),
  );
  process.stdout.write(`${text.join(' ')}\n`);
}
