/** Verdicts about KVM, kept in a file until the host reboots. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectories } from '../util/directories.js';
import { valueOr } from '../util/errors.js';
import { isRecord, parseJson } from '../util/records.js';
import { isFresh, replaceFile } from '../util/replace-file.js';
import type { Verdict } from './probe.js';

/** How many verdicts are kept; the oldest are dropped and probed again. */
const MOST = 32;

/** Far longer than writing takes, in milliseconds. */
const FRESH_MS = 60_000;

export class Verdicts {
  readonly #directory: string;
  readonly #boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @param subject names QEMU and kernel */
  find(subject: string): Verdict | undefined {
    return this.#read().get(subject);
  }

  /** Those whose subjects begin so. */
  findAll(beginning: string): Verdict[] {
    return [...this.#read()].filter(([subject]) => subject.startsWith(beginning)).map(([, verdict]) => verdict);
  }

  /** @throws a system error if the directory is not writable */
  async keep(subject: string, { usable, reason }: Verdict): Promise<void> {
    const kept = [...this.#read()].filter(([other]) => other !== subject);
    const verdicts = Object.fromEntries([...kept.slice(1 - MOST), [subject, { usable, reason }]]);
    makeDirectories(this.#directory);
    await this.#sweep();
    await replaceFile(this.#file, JSON.stringify({ boot: this.#boot, verdicts }));
  }

  /** Removes what a process was about to keep that was killed. */
  async #sweep(): Promise<void> {
    for (const name of readdirSync(this.#directory)) {
      const path = join(this.#directory, name);
      const age = () => Date.now() - (lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (isFresh(name, this.#file) && age() > FRESH_MS) await rm(path, { force: true });
    }
  }

  get #file(): string {
    return join(this.#directory, 'kvm.json');
  }

  /** Empty if the file is missing, malformed or of another boot. */
  #read(): Map<string, Verdict> {
    const kept = parseJson(valueOr(() => readFileSync(this.#file, 'utf8'), ''));
    if (!isRecord(kept) || kept['boot'] !== this.#boot || !isRecord(kept['verdicts'])) return new Map();
    return new Map(Object.entries(kept['verdicts']).filter((entry): entry is [string, Verdict] => isVerdict(entry[1])));
  }
}

function isVerdict(value: unknown): value is Verdict {
  return isRecord(value) && typeof value['usable'] === 'boolean' && typeof value['reason'] === 'string';
}
