/** One group of a key file, read with errors that name group and file. */
import type { SandboxError } from '../../util/errors.js';
import { configError, quote } from '../errors.js';
import type { KeyFile } from './keyfile.js';

/** A group of a key file. A missing group has no keys. */
export class Section {
  constructor(
    readonly file: KeyFile,
    readonly group: string,
  ) {}

  get exists(): boolean {
    return this.file.has(this.group);
  }

  /** The group's name, for messages. */
  get where(): string {
    return `[${this.group}] of ${this.file.origin}`;
  }

  /** The value of `key`; undefined if there is none. */
  text(key: string): string | undefined {
    return this.file.get(this.group, key);
  }

  /**
   * The value of a required key.
   * @throws SandboxError `config-key-missing`
   */
  need(key: string): string {
    const value = this.text(key);
    if (value !== undefined) return value;
    throw configError('config-key-missing', `${this.where} has no ${key}`, `add ${key}=…`);
  }

  /**
   * A boolean; `fallback` if there is no such key. As in GLib, 1 and 0 count too.
   * @throws SandboxError `config-value-invalid`
   */
  flag(key: string, fallback: boolean): boolean {
    const value = this.text(key)?.trimEnd();
    if (value === undefined) return fallback;
    if (value === 'true' || value === '1') return true;
    if (value === 'false' || value === '0') return false;
    throw this.invalid(key, value, 'write true or false');
  }

  /**
   * A whole number from `minimum` to `maximum`; undefined if there is no such key.
   * @throws SandboxError `config-value-invalid`
   */
  whole(key: string, minimum: number, maximum: number): number | undefined {
    const value = this.text(key)?.trimEnd();
    if (value === undefined) return undefined;
    const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= minimum && number <= maximum) return number;
    throw this.invalid(key, value, `write a whole number from ${minimum} to ${maximum}`);
  }

  /** As {@link whole}, of a required key. */
  needWhole(key: string, minimum: number, maximum: number): number {
    this.need(key);
    return this.whole(key, minimum, maximum) ?? minimum;
  }

  /** The error for a wrong value. */
  invalid(key: string, value: string, remedy: string): SandboxError {
    return configError('config-value-invalid', `${this.where} has ${quote(value)} for ${key}`, remedy);
  }

  /**
   * The groups `PREFIX.0`, `PREFIX.1`, … of the file.
   * @throws SandboxError `config-number-gap` if a number is missing: the groups after it would silently be lost
   */
  static numbered(file: KeyFile, prefix: string): readonly Section[] {
    const sections: Section[] = [];
    while (file.has(`${prefix}.${sections.length}`)) sections.push(new Section(file, `${prefix}.${sections.length}`));
    refuseGap(file.groups, prefix, sections.length, file.origin);
    return sections;
  }

  /**
   * The values of the keys `PREFIX.0`, `PREFIX.1`, …
   * @throws SandboxError `config-number-gap`
   */
  numberedTexts(prefix: string): readonly string[] {
    const texts: string[] = [];
    for (;;) {
      const text = this.text(`${prefix}.${texts.length}`);
      if (text === undefined) break;
      texts.push(text);
    }
    refuseGap(this.file.keys(this.group), prefix, texts.length, this.where);
    return texts;
  }
}

/** Refuses a name `PREFIX.N…` with N not below `count`. */
function refuseGap(names: readonly string[], prefix: string, count: number, where: string): void {
  const stray = names.find((name) => {
    const number = name.startsWith(`${prefix}.`) ? /^[0-9]+(?=\.|$)/.exec(name.slice(prefix.length + 1)) : null;
    return number !== null && !(Number(number[0]) < count);
  });
  if (stray === undefined) return;
  throw configError(
    'config-number-gap',
    `${where} has ${stray} and no ${prefix}.${count}`,
    'number them from 0 upward',
  );
}
