// Fuzzes the code in TypeScript that reads what others write, guided by its coverage.
//
//   node scripts/fuzz-ts.mjs [TARGET…]        fuzzes targets of test/fuzz/ts/; all without one
//   node scripts/fuzz-ts.mjs TARGET FILE…     reads these inputs once, without the fuzzer: repeats a finding
//   node scripts/fuzz-ts.mjs --list           prints the names of the targets
//
//   FUZZ_SECONDS   how long each target runs; default: 60, or no limit with FUZZ_RUNS
//   FUZZ_RUNS      how many inputs each target reads; `quick`: as many as take about a second
//   SEED           of the random numbers; default: another one each time, which is printed
//   JOBS           targets at a time; default: one for each processor
//   FUZZ_CORPUS    where the inputs are kept that reach something new; default: build/fuzz/corpus
//
// Prints one line of JSON for each target that is done; build/fuzz/logs has the fuzzer's own words. It is libFuzzer
// inside Jazzer.js. It starts with the inputs in test/fuzz/corpus/TARGET and with those that earlier runs kept.
import { execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { BUNDLES, bundleTargets, targetNames } from './fuzz-ts-bundle.mjs';

const repository = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const JAZZER = require.resolve('@jazzer.js/core/dist/cli.js');

/** One input may take this long in milliseconds, whatever else the machine does: then it is an endless loop. */
const INPUT_TIMEOUT = 10_000;
/** The whole process, in MiB. The limit for one input is in test/fuzz/ts/support/target.ts. */
const MOST_MEMORY = 2048;

const words = process.argv.slice(2);
const known = targetNames();

if (words[0] === '--list') process.stdout.write(`${known.join('\n')}\n`);
else if (known.includes(words[0]) && words.length > 1 && words.slice(1).every((file) => existsSync(file)))
  await repeat(words[0], words.slice(1));
else await fuzzAll(words.length > 0 ? words : known);

async function fuzzAll(names) {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) fail(`there is no target or file ${unknown}; the targets are ${known.join(', ')}`);
  await bundleTargets(names);
  const waiting = [...names];
  const worker = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const result = await fuzz(name);
      process.stdout.write(`${JSON.stringify(result)}\n`);
      if (result.findings > 0) process.exitCode = 1;
    }
  };
  await Promise.all(Array.from({ length: Number(process.env.JOBS) || availableParallelism() }, worker));
}

/** Fuzzes one target until its time or number of runs is over, or something is found. */
async function fuzz(name) {
  const { FUZZ_RUNS: runs, FUZZ_SECONDS: limit = runs ? undefined : '60' } = process.env;
  // libFuzzer takes 0 for "choose one".
  const seed = Number(process.env.SEED) || randomInt(1, 2 ** 31);
  const { kind, mostBytes, quickRuns } = require(`${BUNDLES}/${name}.cjs`);
  const grown = `${process.env.FUZZ_CORPUS ?? `${repository}build/fuzz/corpus`}/${name}`;
  const seeds = `${repository}test/fuzz/corpus/${name}`;
  const dictionary = `${repository}test/fuzz/dictionaries/${name}.dict`;
  const findings = `${repository}build/fuzz/findings/`;
  for (const directory of [grown, findings, `${repository}build/fuzz/logs`]) mkdirSync(directory, { recursive: true });
  const args = [
    ...[JAZZER, `${BUNDLES}/${name}.cjs`, grown, ...(existsSync(seeds) ? [seeds] : [])],
    ...['-f', 'fuzz', '-i', 'build/fuzz/ts/', '--timeout', String(INPUT_TIMEOUT)],
    // They look at every call of the program and make it three times slower; they are for servers.
    ...['--disableBugDetectors', '.*'],
    ...(kind === 'async' ? [] : ['--sync']),
    ...['--', `-seed=${seed}`, `-max_len=${mostBytes}`, `-rss_limit_mb=${MOST_MEMORY}`, '-print_final_stats=1'],
    // Slow inputs are tried less often.
    '-entropic_scale_per_exec_time=1',
    ...(runs ? [`-runs=${runs === 'quick' ? quickRuns : runs}`] : []),
    ...(limit ? [`-max_total_time=${limit}`] : []),
    ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
    `-artifact_prefix=${findings}${name}-`,
  ];
  const start = performance.now();
  const finding = `${findings}${name}-${seed}`;
  // Of this run only: another of the same target may go on beside it.
  const logFile = `${repository}build/fuzz/logs/${name}-${seed}`;
  const { code, text } = await run(args, logFile, finding);
  const seconds = Math.round(performance.now() - start) / 1000;
  const executions = Number(/^stat::number_of_executed_units: (\d+)/m.exec(text)?.[1] ?? 0);
  const coverage = Number([...text.matchAll(/ cov: (\d+) /g)].at(-1)?.[1] ?? 0);
  const result = { target: name, executions, seconds, coverage, findings: code === 0 ? 0 : 1, seed };
  if (code === 0) return result;
  // What takes for ever is written by the fuzzer.
  const input = existsSync(finding) ? finding : /Test unit written to (\S+)/.exec(text)?.[1];
  process.stderr.write(`${excerpt(text)}\n`);
  // Without an input the fuzzer itself did not run.
  if (input === undefined) return { ...result, problem: `the fuzzer ended with status ${code}` };
  return { ...result, input, repeat: `node scripts/fuzz-ts.mjs ${name} ${input}` };
}

/** Runs the fuzzer. It writes into a file: where a pipe is full, it loses what it has to say. */
function run(args, logFile, finding) {
  const log = openSync(logFile, 'w');
  const env = { ...process.env, NODE_OPTIONS: '', FUZZ_FINDING: finding };
  const child = spawn(process.execPath, args, { cwd: repository, env, stdio: ['ignore', log, log] });
  closeSync(log);
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      process.off('exit', end);
      resolve({ code: code ?? signal, text: readFileSync(logFile, 'latin1') });
    });
  });
}

/** What was found: the lines around it, without the fuzzer's progress. */
function excerpt(text) {
  return text
    .split('\n')
    .filter((line) => !/^(#\d+|INFO|stat::|Skip loading|Loading bug|0x|Base64)/.test(line) && line.trim() !== '')
    .slice(-30)
    .join('\n');
}

/** Reads inputs as the fuzzer does, and prints the whole error. An endless loop ends after a while. */
async function repeat(name, files) {
  await bundleTargets([name]);
  for (const file of files) {
    // Some targets listen to exceptions that nobody has caught. Promises settle outside of one only.
    const script = `
      const { fuzz } = require(process.argv[1]);
      const found = (error) => { console.error(error); process.exit(1); };
      setImmediate(() => {
        try { Promise.resolve(fuzz(require("node:fs").readFileSync(process.argv[2]))).catch(found); }
        catch (error) { found(error); }
      });`;
    const args = ['--enable-source-maps', '-e', script, `${BUNDLES}/${name}.cjs`, file];
    const { error, text } = await new Promise((resolve) => {
      execFile(process.execPath, args, { timeout: 2 * INPUT_TIMEOUT }, (error, stdout, stderr) =>
        resolve({ error, text: stdout + stderr }),
      );
    });
    const late = error?.killed ? `no end within ${(2 * INPUT_TIMEOUT) / 1000} s` : undefined;
    process.stdout.write(`${file} (${readFileSync(file).length} bytes): ${error ? (late ?? text) : 'nothing found'}\n`);
    if (error) process.exitCode = 1;
  }
}

function fail(message) {
  process.stderr.write(`fuzz-ts: ${message}\n`);
  process.exit(2);
}
