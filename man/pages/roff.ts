/** Makes roff, in the macros of man(7), which groff and mandoc read. */
import type { Paragraph } from '../program-description.js';

/** Plain text. Escapes what roff would read as a request or an escape. A hyphen stays one that can be copied and typed. */
export function plain(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replaceAll('’', '\\(cq')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti');
  return escaped.replace(/^\./gm, '\\&.');
}

/** A text with `literal words` in bold and *placeholders* in italics. */
export function marked(text: string): string {
  const parts = text.split(/(`[^`]+`|\*[^*\s][^*]*\*)/);
  const formatted = parts.map((part) => {
    if (part.length > 2 && part.startsWith('`')) return `\\fB${plain(part.slice(1, -1))}\\fP`;
    if (part.length > 2 && part.startsWith('*')) return `\\fI${plain(part.slice(1, -1))}\\fP`;
    return plain(part);
  });
  return folded(formatted.join(''));
}

/** Breaks lines at spaces so that they have at most 80 bytes. Escapes a line that begins like a request. */
function folded(text: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && Buffer.byteLength(`${line} ${word}`) > 80) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => each.replace(/^\./, '\\&.')).join('\n');
}

/** Paragraphs without space above the first. `inset`: they stand below a term. */
export function paragraphs(body: readonly Paragraph[], inset = false): string {
  return body.map((part, index) => paragraph(part, index === 0, inset)).join('');
}

function paragraph(part: Paragraph, first: boolean, inset: boolean): string {
  const space = first ? '' : inset ? '.IP\n' : '.PP\n';
  if (typeof part === 'string') return `${space}${marked(part)}\n`;
  if ('block' in part) {
    const lines = plain(part.block).replace(/\n$/, '');
    return `${first ? '' : '.sp\n'}.nf\n.RS 4\n${lines}\n.RE\n.fi\n`;
  }
  const terms = part.terms
    .map(([term, text]) => `.TP\n${marked(term).replaceAll('\n', ' ')}\n${marked(text)}\n`)
    .join('');
  return inset ? `.RS 7\n${terms}.RE\n` : terms;
}
