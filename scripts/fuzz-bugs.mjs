// Puts bugs back in on purpose, and says whether the fuzzers find them: node scripts/fuzz-bugs.mjs [NAME…]
//
// A bug is test/fuzz/bugs/NAME.patch. Its first line is `target: TARGET`, further lines say what it is, and a patch follows.
// Each is applied to a copy of the tree, whose target starts with the corpus of the tree and runs until something is found
// or FUZZ_SECONDS (300) are over. The exit status is 0 if every bug was found.
import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('..', import.meta.url));
const bugs = join(repository, 'test/fuzz/bugs');
/** Of the tree; what is built or installed is not copied. */
const LEFT_OUT = new Set(['.git', 'build', 'dist', 'node_modules']);
const seed = process.env.SEED || String(randomInt(1, 2 ** 31));

const all = readdirSync(bugs)
  .filter((file) => file.endsWith('.patch'))
  .map((file) => basename(file, '.patch'));
const names = process.argv.length > 2 ? process.argv.slice(2) : all;
const unknown = names.find((name) => !all.includes(name));
if (unknown !== undefined) {
  process.stderr.write(`fuzz-bugs: there is no ${unknown} in test/fuzz/bugs\n`);
  process.exit(1);
}

// What is left is removed at the end, which a signal by itself would not wait for.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));
process.stderr.write(`seed ${seed}; SEED=${seed} repeats this run\n`);
process.stdout.write(`${'bug'.padEnd(28)} ${'target'.padEnd(16)} ${'found'.padStart(5)} executions  seconds\n`);
for (const name of names) {
  const { target, found, executions, seconds } = await hunt(name);
  const cells = [name.padEnd(28), target.padEnd(16), (found ? 'yes' : 'no').padStart(5)];
  process.stdout.write(`${cells.join(' ')} ${String(executions).padStart(10)} ${seconds.toFixed(1).padStart(8)}\n`);
  if (!found) process.exitCode = 1;
}

/** Fuzzes a copy of the tree that has the bug. */
async function hunt(name) {
  const patch = join(bugs, `${name}.patch`);
  const target = /^target: (\S+)/.exec(readFileSync(patch, 'utf8'))?.[1];
  if (target === undefined) throw new Error(`${patch}: the first line is not "target: NAME"`);
  const tree = mkdtempSync(join(tmpdir(), 'virt-sandbox-bug-'));
  const end = () => rmSync(tree, { recursive: true, force: true });
  process.once('exit', end);
  try {
    copyTree(tree);
    const { status, stdout } = spawnSync('patch', ['-p1', '-s', '-f', '-i', patch], { cwd: tree, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${patch} does not apply:\n${stdout}`);
    const result = await fuzz(tree, target);
    // A fuzzer that could not run has found nothing.
    return { target, found: result.findings > 0 && result.problem === undefined, ...result };
  } finally {
    end();
    process.off('exit', end);
  }
}

function copyTree(tree) {
  for (const entry of readdirSync(repository)) {
    if (!LEFT_OUT.has(entry))
      cpSync(join(repository, entry), join(tree, entry), { recursive: true, verbatimSymlinks: true });
  }
  symlinkSync(join(repository, 'node_modules'), join(tree, 'node_modules'));
}

async function fuzz(tree, target) {
  const side = existsSync(join(tree, `test/fuzz/c/${target}.c`)) ? 'fuzz-c.mjs' : 'fuzz-ts.mjs';
  const env = { ...process.env, FUZZ_SECONDS: process.env.FUZZ_SECONDS || '300', SEED: seed };
  const child = spawn(process.execPath, [join(tree, 'scripts', side), target], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let complaints = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  child.stderr.on('data', (data) => {
    complaints += data;
  });
  const end = () => child.kill('SIGTERM');
  process.once('exit', end);
  await new Promise((resolve) => child.once('close', resolve));
  process.off('exit', end);
  const line = output.trim().split('\n').at(-1);
  if (!line) throw new Error(`${side} ${target} did not run:\n${complaints}`);
  if (process.env.VERBOSE) process.stderr.write(complaints);
  return JSON.parse(line);
}
