// How long each test file took when it last ran.
//
//   node scripts/test-times.mjs   prints the sums for folders, and the longest files, as tables for CONTRIBUTING.md
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('../build/test-times.json', import.meta.url));
const LONGEST = 15;

/** What is kept: by path below test/, the number of tests and their time in milliseconds. */
function read() {
  try {
    return JSON.parse(readFileSync(FILE, 'utf8'));
  } catch {
    return {};
  }
}

export function testTimes() {
  const kept = read();
  return {
    timeOf: (name) => kept[name]?.ms ?? 0,
    record: (times) => {
      mkdirSync(dirname(FILE), { recursive: true });
      writeFileSync(FILE, `${JSON.stringify({ ...kept, ...times }, null, 2)}\n`);
    },
  };
}

function table(heads, rows) {
  const lines = [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return `${lines.join('\n')}\n`;
}

function print() {
  const files = Object.entries(read()).map(([name, times]) => ({ name, ...times }));
  const folders = new Map();
  for (const { name, tests, ms } of files) {
    const [top = '', second = ''] = name.split('/');
    const folder = top === 'unit' && !second.includes('.') ? `${top}/${second}` : top;
    const sum = folders.get(folder) ?? { files: 0, tests: 0, ms: 0 };
    folders.set(folder, { files: sum.files + 1, tests: sum.tests + tests, ms: sum.ms + ms });
  }
  const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
  const sums = [...folders].sort(([, a], [, b]) => b.ms - a.ms);
  const head = ['files', 'tests', 'time'];
  process.stdout.write(
    table(
      ['part', ...head],
      sums.map(([folder, sum]) => [`test/${folder}/`, sum.files, sum.tests, seconds(sum.ms)]),
    ),
  );
  const longest = files.sort((a, b) => b.ms - a.ms).slice(0, LONGEST);
  process.stdout.write('\n');
  process.stdout.write(
    table(
      ['file', 'tests', 'time'],
      longest.map(({ name, tests, ms }) => [name.replace(/js$/, 'ts'), tests, seconds(ms)]),
    ),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) print();
