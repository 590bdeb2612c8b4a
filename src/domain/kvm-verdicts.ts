/** Verdicts about KVM, kept in a file until the host reboots. */
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectories } from '../util/directories.js';
import { valueOr } from '../util/errors.js';
import { isRecord, parseJson } from '../util/records.js';
import type { Verdict } from './probe.js';

/** How many verdicts are kept; the oldest are dropped and probed again. */
const MOST = 32;

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

  /** @throws a system error if the directory is not writable */
  async keep(subject: string, { usable, reason }: Verdict): Promise<void> {
    const kept = [...this.#read()].filter(([other]) => other !== subject);
    const verdicts = Object.fromEntries([...kept.slice(1 - MOST), [subject, { usable, reason }]]);
    const temporary = `${this.#file}.${process.pid}`;
    makeDirectories(this.#directory);
    await writeFile(temporary, JSON.stringify({ boot: this.#boot, verdicts }));
    await rename(temporary, this.#file);
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
