// Checks what C files include: node scripts/check-c-includes.mjs [DIRECTORY]
//
// DIRECTORY (init) has a folder for each C program, and layers.json: for each program its folders ("." is the program's
// own), and for each folder those that it may include from, besides itself. The folder "shared" is no program: it has
// what programs share, and a folder that may include from it names it. The check fails on an include that layers.json
// does not allow, and on a circle of files; x.c and x.h count as one.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';

const SHARED = 'shared';
const root = process.argv[2] ?? 'init';
const layers = JSON.parse(readFileSync(join(root, 'layers.json'), 'utf8'));

/** Every include of a program's files by its path from the program's folder: { file, line, target }. */
function includesOf(program) {
  return readdirSync(join(root, program), { recursive: true })
    .filter((file) => /\.[ch]$/.test(file))
    .sort()
    .flatMap((file) =>
      readFileSync(join(root, program, file), 'utf8')
        .split('\n')
        .flatMap((text, index) => {
          const target = /^\s*#\s*include\s+"(.+)"/.exec(text)?.[1];
          return target === undefined ? [] : [{ file, line: index + 1, target }];
        }),
    );
}

const unit = (file) => file.replace(/\.[ch]$/, '');

/** Faults of layers.json and of single includes. */
function faultsOf(program, includes) {
  const allowed = layers[program];
  const faults = [];
  for (const { file, line, target } of includes) {
    const at = `${join(root, program, file)}:${line}`;
    const from = dirname(file);
    const to = dirname(target);
    if (!existsSync(join(root, to === SHARED ? '.' : program, target))) {
      faults.push(`${at}: no file ${target} in ${join(root, program)}; include it by its path from there`);
    } else if (!(from in allowed)) {
      faults.push(`${at}: layers.json has no folder ${from} of ${program}`);
    } else if (from !== to && !allowed[from].includes(to)) {
      faults.push(`${at}: ${from} must not include ${target}: layers.json does not allow it ${to}`);
    }
  }
  const circle = findCircle(new Map(Object.entries(allowed)));
  if (circle !== undefined) faults.push(`layers.json: a circle of folders of ${program}: ${circle.join(' -> ')}`);
  return faults;
}

/** The first circle in a graph, from a node back to itself; undefined if there is none. */
function findCircle(edges) {
  const done = new Set();
  const path = [];
  const visit = (node) => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return undefined;
    path.push(node);
    for (const next of edges.get(node) ?? []) {
      const circle = visit(next);
      if (circle !== undefined) return circle;
    }
    path.pop();
    done.add(node);
    return undefined;
  };
  for (const node of edges.keys()) {
    const circle = visit(node);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

/** A circle of files, with the include that makes each step. */
function circleOf(program, includes) {
  const steps = new Map();
  for (const { file, line, target } of includes) {
    const [from, to] = [unit(file), unit(target)];
    if (from === to) continue;
    if (!steps.has(from)) steps.set(from, new Map());
    if (!steps.get(from).has(to)) steps.get(from).set(to, `${join(root, program, file)}:${line} includes ${target}`);
  }
  const circle = findCircle(new Map([...steps].map(([from, to]) => [from, to.keys()])));
  if (circle === undefined) return [];
  const reasons = circle.slice(1).map((to, index) => `  ${steps.get(circle[index]).get(to)}`);
  return [`${join(root, program)}: a circle of files: ${circle.join(' -> ')}\n${reasons.join('\n')}`];
}

const unknown = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !(entry.name in layers))
  .filter(({ name }) => readdirSync(join(root, name), { recursive: true }).some((file) => file.endsWith('.c')))
  .map(({ name }) => `${join(root, name)}: layers.json has no such program`);
const found = Object.keys(layers).flatMap((program) => {
  const includes = includesOf(program);
  return [...faultsOf(program, includes), ...circleOf(program, includes)];
});
const faults = [...unknown, ...found];
for (const fault of faults) process.stderr.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
