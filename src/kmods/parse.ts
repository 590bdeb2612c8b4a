/**
 * Parsers for the text files of a module tree. Formats: modules.dep(5), modprobe.d(5), and depmod of kmod.
 * All names in the results are normalized. Empty lines and lines that begin with `#` are skipped.
 */

import { globMatcher } from './glob.js';
import { moduleNameOf, normalizeAlias, normalizeName } from './names.js';

/** A module that is a file, not built in. */
export interface ModuleFile {
  readonly name: string;
  /** As in modules.dep: relative to the tree, or absolute. */
  readonly path: string;
  /** Names of all modules it needs, directly or not. Each comes before its own dependencies. */
  readonly dependencies: readonly string[];
}

/** Modules or aliases to load before and after another module, if they exist. */
export interface SoftDependencies {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** A line with wrong syntax. The caller adds the file's name. */
export class LineError extends Error {}

function linesOf(text: string): { line: string; number: number }[] {
  return text
    .split('\n')
    .map((line, i) => ({ line: line.trim(), number: i + 1 }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'));
}

function wordsOf(text: string): string[] {
  const trimmed = text.trim();
  return trimmed === '' ? [] : trimmed.split(/\s+/);
}

/**
 * modules.dep: `PATH: PATH…`.
 *
 * @throws {LineError} for a line without a colon, or a dependency that has no line of its own.
 */
export function parseDependencies(text: string): Map<string, ModuleFile> {
  const names = new Map<string, string>();
  const lines = linesOf(text).map(({ line, number }) => {
    const colon = line.indexOf(':');
    if (colon <= 0) throw new LineError(`line ${number} has no ':'`);
    const path = line.slice(0, colon);
    const name = moduleNameOf(path);
    names.set(path, name);
    return { name, path, needs: line.slice(colon + 1), number };
  });
  const modules = new Map<string, ModuleFile>();
  for (const { name, path, needs, number } of lines) {
    const dependencies = wordsOf(needs).map((needed) => {
      const known = names.get(needed);
      if (known === undefined) throw new LineError(`line ${number} needs ${needed}, which has no line of its own`);
      return known;
    });
    modules.set(name, { name, path, dependencies });
  }
  return modules;
}

/** modules.softdep: `softdep NAME pre: NAME… post: NAME…`. Several lines for a module add up. */
export function parseSoftDependencies(text: string): Map<string, SoftDependencies> {
  const all = new Map<string, { before: string[]; after: string[] }>();
  for (const { line } of linesOf(text)) {
    const [keyword, module, ...words] = wordsOf(line);
    if (keyword !== 'softdep' || module === undefined) continue;
    const name = normalizeName(module);
    const entry = all.get(name) ?? { before: [], after: [] };
    all.set(name, entry);
    // Like kmod, ignore words before the first `pre:` or `post:`.
    let list: string[] | undefined;
    for (const word of words) {
      if (word === 'pre:') list = entry.before;
      else if (word === 'post:') list = entry.after;
      else list?.push(normalizeName(word));
    }
  }
  return all;
}

/** modules.weakdep: `weakdep NAME NAME…`. */
export function parseWeakDependencies(text: string): Map<string, readonly string[]> {
  const all = new Map<string, string[]>();
  for (const { line } of linesOf(text)) {
    const [keyword, module, ...words] = wordsOf(line);
    if (keyword !== 'weakdep' || module === undefined) continue;
    const name = normalizeName(module);
    const known = all.get(name) ?? [];
    all.set(name, known);
    for (const word of words) known.push(normalizeName(word));
  }
  return all;
}

/** modules.builtin: one path per line. */
export function parseBuiltin(text: string): Set<string> {
  return new Set(linesOf(text).map(({ line }) => moduleNameOf(line)));
}

/**
 * The aliases in modules.builtin.modinfo: records `NAME.KEY=VALUE`, each ended by a zero byte. NAME need not be a
 * built-in module: parts of the kernel that can never be modules have records too, and some share the name of a module
 * file (`core` on Debian). Only modules.builtin tells which modules are built in.
 */
export function parseBuiltinAliases(text: string): AliasTable {
  const aliases = new AliasTable();
  for (const record of text.split('\0')) {
    const [, module, key, value] = /^([^.=]+)\.([^=]+)=(.*)$/s.exec(record) ?? [];
    if (module === undefined || key === undefined || value === undefined) continue;
    if (key === 'alias') aliases.add(value, normalizeName(module));
  }
  return aliases;
}

/** modules.alias: `alias PATTERN MODULE`. */
export function parseAliases(text: string): AliasTable {
  const table = new AliasTable();
  for (const { line } of linesOf(text)) {
    const [keyword, pattern, module] = line.split(/\s+/);
    if (keyword === 'alias' && pattern !== undefined && module !== undefined) table.add(pattern, normalizeName(module));
  }
  return table;
}

interface Pattern {
  /** What comes before the first wildcard. */
  readonly fixed: string;
  readonly pattern: string;
  readonly module: string;
  /** Set by the first look-up that needs it. */
  matches?: (text: string) => boolean;
}

/** Aliases and their modules. An alias with `*`, `?` or `[` is a file name pattern; most are plain words. */
export class AliasTable {
  readonly #plain = new Map<string, Set<string>>();
  readonly #patterns: Pattern[] = [];

  add(alias: string, module: string): void {
    const pattern = normalizeAlias(alias);
    const wildcard = pattern.search(/[*?[]/);
    if (wildcard >= 0) {
      this.#patterns.push({ fixed: pattern.slice(0, wildcard), pattern, module });
      return;
    }
    const modules = this.#plain.get(pattern);
    if (modules === undefined) this.#plain.set(pattern, new Set([module]));
    else modules.add(module);
  }

  /** Modules with the alias `name`, in the table's order. */
  lookUp(name: string): string[] {
    const wanted = normalizeAlias(name);
    const found = new Set(this.#plain.get(wanted));
    for (const entry of this.#patterns) {
      // The fixed part rules out nearly all patterns, so few are ever taken apart, and each of those once.
      if (!wanted.startsWith(entry.fixed)) continue;
      entry.matches ??= globMatcher(entry.pattern);
      if (entry.matches(wanted)) found.add(entry.module);
    }
    return [...found];
  }
}
