/** Options as one text, as a person writes them in quotes: `--options "-N dhcp --memory 1G"`. */

/**
 * Splits at blanks as a shell does, with single and double quotes and backslashes, and nothing more.
 * @throws {Error} for a quote that is not closed
 */
export function words(text: string): string[] {
  const pieces = /\s*((?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+)/gy;
  const found: string[] = [];
  let at = 0;
  for (let match = pieces.exec(text); match; match = pieces.exec(text)) {
    at = pieces.lastIndex;
    found.push(unquoted(match[1] ?? ''));
  }
  if (text.slice(at).trim() !== '') throw new Error(`a quote is not closed: ${text.slice(at).trim()}`);
  return found;
}

function unquoted(word: string): string {
  return word.replace(
    /'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/g,
    (_all, single?: string, double?: string, escaped?: string) =>
      single ?? double?.replace(/\\(.)/g, '$1') ?? escaped ?? '',
  );
}
