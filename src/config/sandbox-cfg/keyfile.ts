/**
 * GLib's key-file format: groups of `key=value` lines. Writes the same bytes as GKeyFile, and reads what GKeyFile
 * reads; comments are not kept.
 */
import { isRaw } from '../../util/raw-text.js';
import { configError, quote } from '../errors.js';
import { hasControlCharacter } from '../parsers/text.js';

/** A key file. Groups and keys keep their order. */
export class KeyFile {
  /** Values with their escapes: a wrong escape is an error only in a value that somebody reads. */
  readonly #groups = new Map<string, Map<string, string>>();

  /** @param origin the file's name, for messages */
  constructor(readonly origin: string) {}

  /**
   * Reads a key file.
   * @throws SandboxError `key-file-invalid`, whose message has the number of the line
   */
  static parse(text: string, origin: string): KeyFile {
    const file = new KeyFile(origin);
    let group: Map<string, string> | undefined;
    for (const [index, line] of text.split(/\r?\n/).entries()) {
      const start = line.trimStart();
      if (start === '' || start.startsWith('#')) continue;
      if (start.startsWith('[')) group = file.#group(groupName(start) ?? file.#refuse(line, index));
      else {
        const [key, value] = assignment(start) ?? file.#refuse(line, index);
        (group ?? file.#refuse(line, index)).set(key, value);
      }
    }
    return file;
  }

  /** The names of all groups. */
  get groups(): readonly string[] {
    return [...this.#groups.keys()];
  }

  has(group: string): boolean {
    return this.#groups.has(group);
  }

  /** The keys of a group; none if there is no such group. */
  keys(group: string): readonly string[] {
    return [...(this.#groups.get(group)?.keys() ?? [])];
  }

  /**
   * Sets a value. A new group or key comes last.
   * @throws SandboxError `key-file-not-utf8`
   */
  set(group: string, key: string, value: string | number | boolean): void {
    if (isRaw(String(value))) {
      throw configError(
        'key-file-not-utf8',
        `${this.origin} cannot have ${quote(String(value))} for ${key} in [${group}]: it is not UTF-8`,
        'give it on the command line each time',
      );
    }
    this.#group(group).set(key, escapeValue(String(value)));
  }

  /**
   * The value of a key; undefined if there is none.
   * @throws SandboxError `key-file-value-invalid` for an unknown escape
   */
  get(group: string, key: string): string | undefined {
    const raw = this.#groups.get(group)?.get(key);
    if (raw === undefined) return undefined;
    const value = unescapeValue(raw);
    if (value !== undefined) return value;
    throw configError(
      'key-file-value-invalid',
      `${this.origin} has ${quote(raw)} for ${key} in [${group}], with a backslash that escapes nothing`,
      'write a backslash as \\\\',
    );
  }

  toString(): string {
    const parts = [...this.#groups].map(([name, values]) =>
      [`[${name}]\n`, ...[...values].map(([key, value]) => `${key}=${value}\n`)].join(''),
    );
    return parts.join('\n');
  }

  #group(name: string): Map<string, string> {
    const group = this.#groups.get(name) ?? new Map<string, string>();
    this.#groups.set(name, group);
    return group;
  }

  #refuse(line: string, index: number): never {
    throw configError(
      'key-file-invalid',
      `${this.origin} has ${quote(line)} in line ${index + 1}, which is neither a group nor a key of one`,
      'write [GROUP] and below it KEY=VALUE; comments begin with #',
    );
  }
}

function groupName(line: string): string | undefined {
  const name = /^\[([^[\]]+)\][ \t]*$/.exec(line)?.[1];
  return name === undefined || hasControlCharacter(name) ? undefined : name;
}

/** Blanks around the `=` are dropped; those at the end of the value are part of it. */
function assignment(line: string): readonly [string, string] | undefined {
  const at = line.indexOf('=');
  const key = line.slice(0, Math.max(at, 0)).trimEnd();
  return key === '' ? undefined : [key, line.slice(at + 1).replace(/^[ \t]+/, '')];
}

const ESCAPE_OF: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\\', '\\\\'],
]);

const MEANING_OF: ReadonlyMap<string, string> = new Map([
  ['s', ' '],
  ['n', '\n'],
  ['t', '\t'],
  ['r', '\r'],
  ['\\', '\\'],
]);

/**
 * Escapes spaces and tabs only at the start, where reading would drop them; for GLib line ends belong to that start.
 */
function escapeValue(value: string): string {
  const start = /^[ \t\n\r]*/.exec(value)?.[0] ?? '';
  const spaces = start.replaceAll(' ', '\\s').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return spaces + value.slice(start.length).replace(/[\n\r\\]/g, (character) => ESCAPE_OF.get(character) ?? character);
}

/** Undefined for a backslash that escapes nothing. */
function unescapeValue(raw: string): string | undefined {
  let valid = true;
  const value = raw.replace(/\\([\s\S]?)/g, (_, character: string) => {
    const meaning = MEANING_OF.get(character);
    valid &&= meaning !== undefined;
    return meaning ?? '';
  });
  return valid ? value : undefined;
}
