/** The manual page of a program. */
import { COMMON, type Listed, listed, type Paragraph, type Program, type Section } from '../program-description.js';
import { marked, paragraphs, plain } from './roff.js';

/** What every page shows. */
export interface Edition {
  readonly version: string;
}

/** The date of the last full revision of the texts. */
const REVISED = '2026-11-25';

/** A page of any section. */
export function page(
  name: string,
  section: number,
  summary: string,
  { version }: Edition,
  synopsis: string,
  body: string,
): string {
  return `.\\" Made from the texts in man/pages/ and the tables of options in src/cli/.
.TH ${name.toUpperCase()} ${section} ${REVISED} "virt\\-sandbox ${plain(version)}" "virt\\-sandbox"
.SH NAME
${plain(name)} \\- ${plain(summary)}
.SH SYNOPSIS
${synopsis}
${body}`;
}

/** Sections with their texts. */
export function sections(all: readonly Section[]): string {
  return all.map(({ title, body }) => `.SH ${title.toUpperCase()}\n${paragraphs(body)}`).join('');
}

/** The page of a program. */
export function programPage(program: Program, edition: Edition): string {
  const { name, summary, usage, description, options, commands, details } = program;
  const parts = [`.SH DESCRIPTION\n${paragraphs(description)}`];
  if (commands) {
    const each = Object.values(commands).map(({ command, describe, options: own }) => {
      const used = Object.fromEntries(Object.entries(own).filter(([option]) => !(option in COMMON)));
      const texts = listed(used, details).filter((option) => !(option.name in COMMON));
      return `.SS "${plain(command.replaceAll(/[<>]/g, ''))}"\n${marked(sentence(describe))}\n${texts.map(entry).join('')}`;
    });
    parts.push(`.SH COMMANDS\n${each.join('')}`);
  }
  parts.push(`.SH OPTIONS\n${listed(options, details).map(entry).join('')}`);
  parts.push(sections(program.sections));
  const synopsis = `\\fB${plain(name)}\\fP ${marked(usage)}`;
  return page(name, 1, summary, edition, synopsis, parts.join(''));
}

/** An option with its text. */
function entry({ words, takesValue, mayHaveValue, repeats, describe, detail }: Listed): string {
  const name = `*${detail.value ?? 'VALUE'}*`;
  const value = takesValue ? ` ${name}` : mayHaveValue ? `[\`=\`${name}]` : '';
  const term = words.map((word) => `\`${word}\`${value}`).join(', ');
  const own: readonly Paragraph[] = detail.text ?? [sentence(describe)];
  const text = repeats && detail.text ? [...own, 'This option repeats.'] : own;
  return `.TP\n${marked(term).replaceAll('\n', ' ')}\n${paragraphs(text, true)}`;
}

/** A line of help as a sentence. */
function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}
