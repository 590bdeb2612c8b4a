/** The examples of a page of the documentation. */
import { readFileSync } from 'node:fs';
import { REPOSITORY } from './run.js';

export interface Example {
  readonly command: string;
  /** What the page shows below it, as lines. */
  readonly shown: readonly string[];
}

/** The commands of root in a section of a page, in order. @param heading without its signs */
export function examplesOf(page: string, heading: string): Example[] {
  const sections = readFileSync(`${REPOSITORY}docs/${page}`, 'utf8').split(/^#+ /m);
  const section = sections.find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const examples: { command: string; shown: string[] }[] = [];
  let isExample = false;
  for (const line of section.split('\n')) {
    const text = line.startsWith('    ') ? line.slice(4) : undefined;
    // A block that begins with no command shows something else.
    isExample = text !== undefined && (isExample || text.startsWith('# '));
    if (text === undefined || !isExample) continue;
    if (text.startsWith('# ')) examples.push({ command: text.slice(2), shown: [] });
    else examples.at(-1)?.shown.push(text);
  }
  return examples;
}
