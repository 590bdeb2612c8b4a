/**
 * The text files of a module tree. Formats: modules.dep(5), modprobe.d(5), and depmod of kmod.
 * Every parser returns normalised names; lines that are empty or begin with `#` say nothing.
 */

import { moduleNameOf, normalizeAlias, normalizeName } from './names.js';

/** A module that is a file. */
export interface ModuleFile {
  readonly name: string;
  /** As modules.dep writes it: relative to the tree. */
  readonly path: string;
  /** Names of the modules it needs, all of them, each before the ones it needs itself. */
  readonly dependencies: readonly string[];
}

/** Modules (or aliases) that should be loaded along with another one. */
export interface SoftDependencies {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** A line that cannot be understood; the caller knows the file's name. */
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
    // Words before the first `pre:` or `post:` say nothing: kmod ignores them too.
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
    all.set(name, [...(all.get(name) ?? []), ...words.map(normalizeName)]);
  }
  return all;
}

/** modules.builtin: one path a line. */
export function parseBuiltin(text: string): Set<string> {
  return new Set(linesOf(text).map(({ line }) => moduleNameOf(line)));
}

/**
 * The aliases in modules.builtin.modinfo: records `NAME.KEY=VALUE`, each ended by a zero byte. A NAME here is no proof
 * that the module is built in: parts of the kernel that could never be a module have records too, and some are called
 * like a module that is a file (`core` on Debian). That is what modules.builtin is for.
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

/** Aliases and their modules. Most are plain words; those with `*`, `?` or `[` match as file names do. */
export class AliasTable {
  readonly #plain = new Map<string, string[]>();
  readonly #patterns: { pattern: string; module: string }[] = [];

  add(alias: string, module: string): void {
    const pattern = normalizeAlias(alias);
    if (/[*?[]/.test(pattern)) {
      this.#patterns.push({ pattern, module });
      return;
    }
    const modules = this.#plain.get(pattern);
    if (modules === undefined) this.#plain.set(pattern, [module]);
    else if (!modules.includes(module)) modules.push(module);
  }

  /** The modules that bear the alias `name`, in the table's order. */
  lookUp(name: string): string[] {
    const wanted = normalizeAlias(name);
    const found = new Set(this.#plain.get(wanted));
    for (const { pattern, module } of this.#patterns) {
      // A pattern's beginning up to its first wildcard must agree: that rules nearly all of them out.
      const fixed = pattern.search(/[*?[]/);
      if (wanted.startsWith(pattern.slice(0, fixed)) && globToRegExp(pattern).test(wanted)) found.add(module);
    }
    return [...found];
  }
}

/** fnmatch(3) without flags, as far as module aliases use it. */
function globToRegExp(glob: string): RegExp {
  const body = glob.replace(/\[[^\]]*\]|[*?]|[^*?[]+|\[/g, (part) => {
    if (part === '*') return '.*';
    if (part === '?') return '.';
    if (part.length > 1 && part.startsWith('[') && part.endsWith(']')) {
      return part.replace(/^\[!/, '[^').replaceAll('\\', '\\\\');
    }
    return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${body}$`, 's');
}
