/** What a program of libguestfs says of its failure. Others have written parts of that. */

/** Characters of a message. */
const MOST_CHARACTERS = 300;

/** Begins the advice that follows each error. */
const ADVICE = /^(If reporting bugs|This usually means|Do:|This is a failure of the source)/;
/** Before what is an error, by those who print it. */
const PREFIX = /^(?:\S+: )?(?:\*stdin\*:\d+: )?(?:libguestfs: )?error: /;

/** The sentences about the failure in one line; empty if there are none. Is not escaped. */
export function lastWords(text: string, program: string): string {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const isError = (line: string) => PREFIX.test(line) || line.startsWith('curl: ') || line.includes(`${program}: `);
  const first = lines.findIndex((line) => PREFIX.test(line));
  const end = lines.findIndex((line, at) => at >= first && ADVICE.test(line));
  const said = first < 0 ? lines : lines.slice(0, end < 0 ? undefined : end);
  const words = (first < 0 ? lines.slice(-4) : said.filter(isError))
    .filter((line) => line !== '')
    .map((line) => line.replace(PREFIX, '').replace(/[.\s]+$/, ''));
  const whole = [...new Set(words)].join(', ');
  return whole.length > MOST_CHARACTERS ? `${whole.slice(0, MOST_CHARACTERS)}…` : whole;
}
