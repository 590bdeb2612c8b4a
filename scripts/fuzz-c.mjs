// Fuzzes the C programs, guided by their coverage.
//
//   node scripts/fuzz-c.mjs [TARGET…]        builds and fuzzes targets of test/fuzz/c/; all without one
//   node scripts/fuzz-c.mjs TARGET FILE…     reads these inputs once, without the fuzzer: repeats a finding
//   node scripts/fuzz-c.mjs --list           prints the names of the targets
//   node scripts/fuzz-c.mjs --minimize       leaves in test/fuzz/corpus only what is needed for what is covered
//
//   FUZZ_SECONDS   how long each target runs; default: 60, or no limit with FUZZ_RUNS
//   FUZZ_RUNS      how many inputs each target reads
//   SEED           of the random numbers; default: another one each time, which is printed
//   JOBS           targets at a time; default: one for each processor
//   FUZZ_GROWN     where inputs are kept that cover more; default: build/fuzz/corpus
//
// Prints one line of JSON for each target that is done, and what was found to standard error. A target starts with the
// inputs in test/fuzz/corpus/TARGET and those that earlier runs have kept.
import { execFile, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve as absolute, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('..', import.meta.url));
const sources = `${repository}test/fuzz/c`;
const kept = absolute(process.env.FUZZ_GROWN || `${repository}build/fuzz/corpus`);
const built = `${repository}build/fuzz/c`;

/** The longest input in bytes, where 1024 would not hold a few packets or frames, or a path of the greatest length. */
const MOST_BYTES = { addresses: 4096, calls: 8192, packets: 8192, relay: 4096 };
/** One input may take this long in seconds, whatever else the machine does: then it is an endless loop. */
const INPUT_TIMEOUT = 20;
const MOST_MEMORY_MIB = 2048;
const words = process.argv.slice(2);
const known = spawnSync('make', ['-s', '-C', sources, 'targets'], { encoding: 'utf8' }).stdout.trim().split(' ');

/** Findings need lines of source. addr2line comes with the compiler; the leaks of a program that soon ends do not count. */
const environment = {
  ...process.env,
  ASAN_OPTIONS:
    'detect_leaks=0:external_symbolizer_path=/usr/bin/addr2line:quarantine_size_mb=16:malloc_context_size=8',
  UBSAN_OPTIONS: 'print_stacktrace=1:external_symbolizer_path=/usr/bin/addr2line',
};

// Fuzzers end with this process, however it ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

if (words[0] === '--list') process.stdout.write(`${known.join('\n')}\n`);
else if (words[0] === '--minimize') await inTurn(words.length > 1 ? words.slice(1) : known, minimize);
else if (known.includes(words[0]) && words.length > 1 && words.slice(1).every((file) => existsSync(file)))
  repeat(words[0], words.slice(1));
else await inTurn(words.length > 0 ? words : known, fuzz);

/** Does something with each target, as many at a time as there are processors. */
async function inTurn(names, action) {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) fail(`there is no target or file ${unknown}; the targets are ${known.join(', ')}`);
  build(names);
  const waiting = [...names];
  const worker = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await action(name);
  };
  await Promise.all(Array.from({ length: Number(process.env.JOBS) || availableParallelism() }, worker));
}

function build(names) {
  const args = [
    '-s',
    `-j${availableParallelism()}`,
    '-C',
    sources,
    `OUT=${built}`,
    ...names.map((name) => `${built}/${name}`),
  ];
  const { status } = spawnSync('make', args, { stdio: ['ignore', process.stderr, process.stderr] });
  if (status !== 0) fail('the targets cannot be built; `make setup-test` installs the compiler');
}

/** Fuzzes one target until its time or number of runs is over, or something is found. Prints the result. */
async function fuzz(name) {
  const { FUZZ_RUNS: runs } = process.env;
  const limit = process.env.FUZZ_SECONDS || (runs ? undefined : '60');
  // libFuzzer takes 0 for "choose one".
  const seed = Number(process.env.SEED) || randomInt(1, 2 ** 31);
  const grown = join(kept, name);
  const seeds = `${repository}test/fuzz/corpus/${name}`;
  const dictionary = `${repository}test/fuzz/dictionaries/${name}.dict`;
  const findings = `${repository}build/fuzz/findings/`;
  for (const directory of [grown, findings]) mkdirSync(directory, { recursive: true });
  const args = [
    ...[grown, ...(existsSync(seeds) ? [seeds] : [])],
    ...[
      `-seed=${seed}`,
      `-max_len=${MOST_BYTES[name] ?? 1024}`,
      `-timeout=${INPUT_TIMEOUT}`,
      `-rss_limit_mb=${MOST_MEMORY_MIB}`,
    ],
    ...(runs ? [`-runs=${runs}`] : []),
    ...(limit ? [`-max_total_time=${limit}`] : []),
    ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
    // Slow inputs are tried less often.
    '-entropic_scale_per_exec_time=1',
    ...['-print_final_stats=1', '-reload=0', `-artifact_prefix=${findings}${name}-`],
  ];
  const start = performance.now();
  const { code, text } = await run(name, args);
  const seconds = Math.round(performance.now() - start) / 1000;
  const executions = Number(/^stat::number_of_executed_units: (\d+)/m.exec(text)?.[1] ?? 0);
  const coverage = Number([...text.matchAll(/ cov: (\d+) /g)].at(-1)?.[1] ?? 0);
  const edges = Number(/\((\d+) inline 8-bit counters\)/.exec(text)?.[1] ?? 0);
  const result = { target: name, executions, seconds, coverage, edges, findings: code === 0 ? 0 : 1, seed };
  process.stdout.write(`${JSON.stringify({ ...result, ...(code === 0 ? {} : found(name, code, text)) })}\n`);
}

/** Where the input of a finding is, and what repeats it. */
function found(name, code, text) {
  process.exitCode = 1;
  process.stderr.write(`${excerpt(text)}\n`);
  const input = /Test unit written to (\S+)/.exec(text)?.[1];
  // Without an input the fuzzer itself did not run.
  if (input === undefined) return { problem: `the fuzzer ended with status ${code}` };
  return { input, repeat: `node scripts/fuzz-c.mjs ${name} ${input}` };
}

/** Runs a fuzzer to its end. Its process ends with this one. */
function run(name, args) {
  return new Promise((resolve) => {
    const options = { cwd: repository, maxBuffer: 1 << 28, env: environment };
    const child = execFile(`${built}/${name}`, args, options, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? error.signal) : 0, text: stdout + stderr }),
    );
    const end = () => child.kill('SIGKILL');
    process.once('exit', end);
    child.once('exit', () => process.off('exit', end));
  });
}

/** What was found: the lines around it, without the fuzzer's progress. */
function excerpt(text) {
  return text
    .split('\n')
    .filter((line) => !/^(#\d+|INFO|stat::|Base64|0x|Dictionary|"|#####)/.test(line) && line.trim() !== '')
    .slice(0, 40)
    .join('\n');
}

/** Reads inputs as the fuzzer does, and shows what it prints. */
function repeat(name, files) {
  build([name]);
  const args = [`-timeout=${INPUT_TIMEOUT}`, ...files];
  const { status } = spawnSync(`${built}/${name}`, args, { stdio: 'inherit', env: environment, cwd: repository });
  if (status !== 0) process.exitCode = 1;
}

/** Merges what earlier runs have found into the inputs in the tree, the fewest and shortest that cover the same. */
async function minimize(name) {
  const seeds = `${repository}test/fuzz/corpus/${name}`;
  const grown = join(kept, name);
  mkdirSync(seeds, { recursive: true });
  mkdirSync(grown, { recursive: true });
  const merged = mkdtempSync(`${repository}build/fuzz/merged-`);
  const { code, text } = await run(name, ['-set_cover_merge=1', '-use_counters=0', merged, seeds, grown]);
  if (code !== 0) fail(`${name} cannot be minimized:\n${excerpt(text)}`);
  // An input that once found something stays, whatever it covers. It has a name and no hash.
  for (const file of readdirSync(seeds).filter((file) => file.includes('-')))
    renameSync(`${seeds}/${file}`, `${merged}/${file}`);
  rmSync(seeds, { recursive: true });
  renameSync(merged, seeds);
}

function fail(message) {
  process.stderr.write(`fuzz-c: ${message}\n`);
  process.exit(1);
}
