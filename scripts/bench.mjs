// Runs the benchmarks: node scripts/bench.mjs [--runs N] [--only NAME]… [--json]
//
// They need a libvirtd. For root, this starts one if none answers, and stops it at the end.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { bench } from '../build/test/bench/main.js';
import { revision } from './revision.mjs';
import { runWhereLibvirtStarts, startSystemLibvirt } from './test-libvirtd.mjs';

const elsewhere = await runWhereLibvirtStarts();
if (elsewhere !== undefined) process.exit(elsewhere);
const libvirt = process.geteuid() === 0 ? await startSystemLibvirt() : undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, async () => {
    await libvirt?.stop();
    process.exit(1);
  });
}
try {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const built = revision();
  process.exitCode = await bench(process.argv.slice(2), built === '' ? version : `${version} (${built})`);
} finally {
  await libvirt?.stop();
}
