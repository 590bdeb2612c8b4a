/** The directory that the rows work in. Each system gets a copy of its own. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { compile } from '../programs/compile.js';
import type { Amounts } from './rows.js';

const FILES_IN_DIRECTORY = 100;
const GIT_IDENTITY = ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost'];

/** Makes it all, with the same bytes at every call. */
export function makeGround(directory: string, amounts: Amounts): void {
  mkdirSync(join(directory, 'home'), { recursive: true });
  // The files of the directory may belong to another user than root inside. Nothing works in the background.
  const settings = ['[safe]', 'directory = *', '[gc]', 'auto = 0', '[maintenance]', 'auto = false'];
  writeFileSync(join(directory, 'home', '.gitconfig'), `${settings.join('\n')}\n`);
  compile(join(directory, 'data-work'), ['data-work.c', 'script.c']);
  execFileSync(join(directory, 'data-work'), ['write', join(directory, 'large'), String(amounts.mebibytes)]);
  makeTree(join(directory, 'git'), amounts.gitFiles);
  makeArchive(directory, amounts.files);
  makeSources(join(directory, 'c'), amounts.sources);
  makePackages(join(directory, 'npm'), amounts.packages);
  makeRepository(join(directory, 'git'));
}

/** A copy, in which git knows every file. */
export function copyGround(from: string, to: string): void {
  cpSync(from, to, { recursive: true, preserveTimestamps: true });
  git(to, 'status', '--porcelain');
}

/** The environment of the rows, inside and on the host. */
export function workEnvironment(directory: string): string[] {
  return [`PATH=${dirname(process.execPath)}:/usr/bin:/bin`, `HOME=${join(directory, 'home')}`, 'LC_ALL=C'];
}

function git(directory: string, ...words: string[]): void {
  execFileSync('git', ['-C', join(directory, 'git'), ...words], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env['PATH'], HOME: join(directory, 'home') },
  });
}

function textOf(at: number): string {
  return `file ${at}\n`.repeat(50 + (at % 400));
}

function makeTree(directory: string, files: number): void {
  for (let at = 0; at < files; at += 1) {
    const below = join(directory, `directory-${Math.floor(at / FILES_IN_DIRECTORY)}`);
    if (at % FILES_IN_DIRECTORY === 0) mkdirSync(below, { recursive: true });
    writeFileSync(join(below, `file-${at}`), textOf(at));
  }
}

/** With one file that was changed and one that is new. */
function makeRepository(directory: string): void {
  const ground = dirname(directory);
  git(ground, 'init', '--quiet');
  git(ground, 'add', '.');
  git(ground, ...GIT_IDENTITY, 'commit', '--quiet', '--message=all');
  writeFileSync(join(directory, 'directory-0', 'file-1'), 'changed\n');
  writeFileSync(join(directory, 'new'), 'new\n');
}

function makeArchive(ground: string, files: number): void {
  const tree = join(ground, 'archived');
  makeTree(tree, files);
  execFileSync('tar', ['-C', tree, '--sort=name', '-cf', join(ground, 'tree.tar'), '.']);
  execFileSync('rm', ['-r', tree]);
}

/** A program that prints the sum of what its files return. */
function makeSources(directory: string, sources: number): void {
  mkdirSync(directory);
  const each = Array.from({ length: sources }, (_, at) => at);
  for (const at of each) {
    writeFileSync(
      join(directory, `part${at}.c`),
      `#include <stddef.h>\n#include <string.h>\nint part${at}(const char *text)\n{\n\treturn ${at} + (int)strlen(text);\n}\n`,
    );
  }
  const main = [
    '#include <stdio.h>',
    ...each.map((at) => `int part${at}(const char *text);`),
    'int main(void)',
    '{',
    '\tint sum = 0;',
    ...each.map((at) => `\tsum += part${at}("${at}");`),
    '\tprintf("%d\\n", sum);',
    '\treturn 0;',
    '}',
  ];
  writeFileSync(join(directory, 'main.c'), `${main.join('\n')}\n`);
  const objects = ['main.o', ...each.map((at) => `part${at}.o`)].join(' ');
  writeFileSync(join(directory, 'Makefile'), `CC = cc\nCFLAGS = -O1\nmain: ${objects}\n\t$(CC) -o $@ $^\n`);
}

/** A lockfile whose packages are archives beside it. */
function makePackages(directory: string, count: number): void {
  mkdirSync(directory);
  const names = Array.from({ length: count }, (_, at) => `bench-${at}`);
  const locked = names.map((name, at) => {
    const content = join(directory, 'package');
    makeTree(join(content, 'lib'), 20);
    writeFileSync(join(content, 'package.json'), JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
    writeFileSync(join(content, 'index.js'), `module.exports = ${at};\n`);
    execFileSync('tar', ['-C', directory, '-czf', join(directory, `${name}.tgz`), 'package']);
    execFileSync('rm', ['-r', content]);
    const digest = createHash('sha512').update(readFileSync(join(directory, `${name}.tgz`)));
    return { version: '1.0.0', resolved: `file:${name}.tgz`, integrity: `sha512-${digest.digest('base64')}` };
  });
  const head = { name: 'bench', version: '1.0.0' };
  const dependencies = Object.fromEntries(names.map((name) => [name, `file:${name}.tgz`]));
  const packages = {
    '': { ...head, dependencies },
    ...Object.fromEntries(names.map((name, at) => [`node_modules/${name}`, locked[at]])),
  };
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ ...head, private: true, dependencies }));
  const lock = { ...head, lockfileVersion: 3, requires: true, packages };
  writeFileSync(join(directory, 'package-lock.json'), JSON.stringify(lock));
}
