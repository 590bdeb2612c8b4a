/** What a registry wants to see before it answers: the header WWW-Authenticate, RFC 9110, 11.6.1. */

export interface Challenge {
  readonly scheme: 'bearer' | 'basic';
  /** Names in small letters. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Challenges begin with a word that no `=` follows. */
const SCHEME = /^[ \t,]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?=[ \t,]|$)[ \t]*/;
const PARAMETER = /^[ \t,]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))[ \t]*/;

/** The challenges of a header that are understood here. One that is cut off or malformed ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  let rest = header.slice(0, 8192);
  while (rest.length > 0) {
    const parameter = PARAMETER.exec(rest);
    const last = challenges.at(-1);
    if (parameter !== null && last !== undefined) {
      const [whole, name = '', inQuotes, bare = ''] = parameter;
      last.parameters[name.toLowerCase()] ??= inQuotes?.replace(/\\(.)/g, '$1') ?? bare;
      rest = rest.slice(whole.length);
      continue;
    }
    const scheme = SCHEME.exec(rest);
    if (scheme?.[1] === undefined) break;
    challenges.push({ scheme: scheme[1].toLowerCase(), parameters: Object.create(null) as Record<string, string> });
    rest = rest.slice(scheme[0].length);
  }
  return challenges.filter((one): one is Challenge => one.scheme === 'bearer' || one.scheme === 'basic');
}
