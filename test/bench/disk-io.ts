/** The program that reads and writes a disk, and says how quickly: test/bench/programs/disk-io.c */
import { join } from 'node:path';
import { compile } from './programs/compile.js';

/** What is measured, in the order of the program's lines. Each line has a rate. */
export const PARTS = [
  { name: 'write', what: '1 GiB written and synced', unit: 'MiB/s' },
  { name: 'read', what: '1 GiB read', unit: 'MiB/s' },
  { name: 'random-read', what: '4 KiB random reads, one at a time', unit: '/s' },
  { name: 'random-reads', what: '4 KiB random reads, 16 at once', unit: '/s' },
  { name: 'random-write', what: '4 KiB random writes, one at a time', unit: '/s' },
  { name: 'random-writes', what: '4 KiB random writes, 16 at once', unit: '/s' },
  { name: 'synced-write', what: '4 KiB random writes, each synced', unit: '/s' },
] as const;

export type Part = (typeof PARTS)[number]['name'];

/** In bytes: what is read and written in sequence, and the least that the disk must have. */
export const DISK_BYTES = 2 ** 30;

/** Compiles the program. @returns its path, which is `directory`/disk-io */
export function buildDiskIo(directory: string): string {
  const path = join(directory, 'disk-io');
  compile(path, ['disk-io.c'], `-DDISK_BYTES=${DISK_BYTES}LL`);
  return path;
}

/**
 * The rates that the program printed.
 * @throws {Error} with the text, if a rate is missing
 */
export function ratesIn(text: string): Record<Part, number> {
  const words = text.split('\n').map((line) => line.split(' '));
  const entries = PARTS.map(({ name }) => [name, Number(words.find(([first]) => first === name)?.[1])] as const);
  if (entries.some(([, rate]) => !(rate > 0))) throw new Error(`disk-io did not print all its rates: ${text}`);
  return Object.fromEntries(entries) as Record<Part, number>;
}
