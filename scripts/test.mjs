// Runs the tests: node scripts/test.mjs [PART-OF-A-FILE-NAME…]
//
// Test files run as processes of their own, two at a time. What they share is started here and ended here: libvirtd for qemu:///system, where
// none answers.
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import process from 'node:process';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { startSystemLibvirt } from './test-libvirtd.mjs';

const compiled = fileURLToPath(new URL('../build/test', import.meta.url));
/** A guest keeps one processor busy. */
const CONCURRENCY = 2;
/** For one file, in milliseconds: whatever hangs must not take the others with it. */
const FILE_TIMEOUT = 15 * 60_000;

const only = process.argv.slice(2);
const files = readdirSync(compiled, { recursive: true })
  .filter((name) => name.endsWith('.test.js') && (only.length === 0 || only.some((part) => name.includes(part))))
  // Those that take long first, so that the end is not a wait for one of them.
  .sort((a, b) => weight(b) - weight(a) || (a < b ? -1 : 1))
  .map((name) => join(compiled, name));
if (files.length === 0)
  fail(`no test file in ${relative('.', compiled)} has ${only.join(' or ') || '.test.js'} in its name`);

const libvirt = files.some((name) => weight(relative(compiled, name)) > 0) ? await startSystemLibvirt() : undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, async () => {
    await libvirt?.stop();
    process.exit(1);
  });
}

let ran = 0;
let failed = 0;
const results = run({ files, concurrency: CONCURRENCY, timeout: FILE_TIMEOUT });
results.on('test:pass', ({ skip, details }) => {
  if (skip === undefined && details.type !== 'suite') ran += 1;
});
results.on('test:fail', ({ todo }) => {
  if (todo === undefined) failed += 1;
});
results.compose(new spec()).pipe(process.stdout);
await new Promise((resolve) => results.once('end', resolve));
await libvirt?.stop();
if (failed > 0) process.exitCode = 1;
else if (ran === 0) fail('no test ran');

/** Guests take seconds, all else far less. */
function weight(name) {
  return name.startsWith('guest/') ? 1 : 0;
}

function fail(message) {
  process.stderr.write(`test: ${message}\n`);
  process.exit(1);
}
