/** The documents of the repository: links lead somewhere, and lines are not too wide. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, normalize, relative } from 'node:path';
import { describe, it } from 'node:test';
import { REPOSITORY } from '../../helpers/run.js';

const COLUMNS = 120;
/** Folders that are not under version control, or whose files others wrote. */
const SKIPPED = new Set(['node_modules', 'build', 'dist', '.git']);
/** Written by virt-sandbox-bench, with lines as long as the measured commands. */
const GENERATED = 'docs/boot-time.md';

function documentsBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name)) return [];
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return documentsBelow(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

const documents = documentsBelow(REPOSITORY)
  .map((path) => relative(REPOSITORY, path))
  .sort();

interface Line {
  readonly number: number;
  readonly text: string;
}

/** The lines of text, without fenced or indented code blocks. */
function textLines(markdown: string): Line[] {
  let fence: string | undefined;
  // A line indented by four is code after an empty line; otherwise it continues a paragraph or a list.
  let inCode = false;
  let inList = false;
  let previous = '';
  return markdown.split('\n').flatMap((text, index) => {
    const before = previous;
    previous = text;
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(text)?.[1];
    if (fence !== undefined) {
      if (mark?.startsWith(fence) && text.trim() === mark) fence = undefined;
      return [];
    }
    if (mark !== undefined) {
      fence = mark;
      return [];
    }
    if (/^\s*([-*+]|\d+[.)]) /.test(text)) inList = true;
    else if (/^\S/.test(text)) inList = false;
    inCode = /^( {4}|\t)/.test(text) && !inList && (inCode || before.trim() === '');
    return inCode ? [] : [{ number: index + 1, text }];
  });
}

/** Links in code are no links. */
function withoutCodeSpans(text: string): string {
  return text.replace(/(`+)(?!`)(.*?[^`])\1(?!`)/gs, (code) => code.replace(/[^\n]/g, ' '));
}

interface Link {
  readonly line: number;
  readonly target: string;
}

/** Inline links, `[text](target)`, also across the end of a line, and definitions, `[name]: target`. */
function linksOf(markdown: string): Link[] {
  const kept = new Map(textLines(markdown).map(({ number, text }) => [number, text]));
  const text = withoutCodeSpans(
    markdown
      .split('\n')
      .map((_, index) => kept.get(index + 1) ?? '')
      .join('\n'),
  );
  const inline = text.matchAll(/\]\(\s*<?([^\s()<>]+)>?(?:\s+"[^"]*")?\s*\)/g);
  const named = text.matchAll(/^ {0,3}\[[^\]]+\]:\s*<?([^\s<>]+)>?/gm);
  return [...inline, ...named].map((match) => ({
    line: text.slice(0, match.index).split('\n').length,
    target: match[1] ?? '',
  }));
}

/** Anchors as GitHub gives them to headings: small letters, no punctuation, hyphens for spaces, numbers for repeats. */
function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  const count = new Map<string, number>();
  for (const { text } of textLines(markdown)) {
    for (const [, id = ''] of withoutCodeSpans(text).matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id);
    const heading = /^ {0,3}#{1,6}\s+(.*?)(?:\s+#+)?\s*$/.exec(text)?.[1];
    if (heading === undefined) continue;
    const plain = heading.replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1');
    const slug = plain
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
      .replace(/ /g, '-');
    const earlier = count.get(slug) ?? 0;
    count.set(slug, earlier + 1);
    anchors.add(earlier === 0 ? slug : `${slug}-${earlier}`);
  }
  return anchors;
}

/** Why a link of a document leads nowhere; undefined when it leads somewhere. */
function brokenBy(document: string, target: string, read: (path: string) => string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return undefined;
  const [path = '', anchor] = decodeURI(target).split('#');
  const file = path === '' ? document : normalize(join(dirname(document), path));
  if (path.startsWith('/') || file.startsWith('..')) return 'leads out of the repository';
  if (SKIPPED.has(file.split('/')[0] ?? '')) return 'leads to what is not kept';
  if (!existsSync(join(REPOSITORY, file))) return `there is no ${file}`;
  if (anchor === undefined) return undefined;
  if (extname(file) !== '.md' || statSync(join(REPOSITORY, file)).isDirectory()) return `${file} has no anchors`;
  return anchorsOf(read(file)).has(anchor) ? undefined : `${file} has no heading for #${anchor}`;
}

const readDocument = (path: string) => readFileSync(join(REPOSITORY, path), 'utf8');

function brokenLinks(document: string, markdown: string): string[] {
  return linksOf(markdown).flatMap(({ line, target }) => {
    const why = brokenBy(document, target, (path) => (path === document ? markdown : readDocument(path)));
    return why === undefined ? [] : [`${document}:${line}: ${target}: ${why}`];
  });
}

/** Tables cannot be wrapped, and neither can addresses. */
function wideLines(document: string, markdown: string): string[] {
  return textLines(markdown)
    .filter(({ text }) => [...text].length > COLUMNS && !/^\s*\|/.test(text))
    .filter(({ text }) => !/^\s*(?:[-*] |\[[^\]]+\]:\s*)?<?[a-z]+:\/\/\S+$/.test(text))
    .map(({ number, text }) => `${document}:${number}: ${[...text].length} columns`);
}

describe('the documents', () => {
  for (const document of documents) {
    const markdown = readDocument(document);
    it(`${document} has no broken links`, () => assert.deepEqual(brokenLinks(document, markdown), []));
    if (document === GENERATED) continue;
    it(`${document} has lines of at most ${COLUMNS} columns`, () =>
      assert.deepEqual(wideLines(document, markdown), []));
  }

  it('name existing files and folders in the map of the sources', () => {
    const page = readDocument('docs/architecture.md');
    const paths = [...page.matchAll(/`((?:src|init|man|test|kmods|profiles|scripts|docs|examples)\/[\w./-]*)`/g)];
    assert.ok(paths.length > 50);
    const missing = paths.map(([, path = '']) => path).filter((path) => !existsSync(join(REPOSITORY, path)));
    assert.deepEqual(missing, []);
  });

  it('are all reached from README.md', () => {
    const reached = new Set<string>();
    const visit = (document: string) => {
      if (reached.has(document)) return;
      reached.add(document);
      for (const { target } of linksOf(readDocument(document))) {
        const path = target.split('#')[0] ?? '';
        const file = normalize(join(dirname(document), path));
        if (documents.includes(file)) visit(file);
      }
    };
    visit('README.md');
    const written = documents.filter((path) => /^(docs|examples)\//.test(path));
    assert.deepEqual(
      written.filter((path) => !reached.has(path)),
      [],
    );
  });
});

describe('the checks themselves', () => {
  const page = [
    '# A `--flag`, and [more](docs/api.md)',
    '## Twice',
    '## Twice',
    '[good](docs/api.md) [good](#twice-1) [good](#a---flag-and-more) [web](https://example.org/#x) [folder](docs/)',
    '`[code](nowhere.md)` and [over a',
    'line](gone.md), [anchor](docs/api.md#gone), [own](#gone), [out](../x), [absolute](/etc)',
    '',
    '    [indented](nowhere.md)',
    '',
    '```',
    '[fenced](nowhere.md)',
    '# fenced',
    '```',
    '[named]: lost.md',
    '[built](dist/virt-sandbox.cjs) [code](src/index.ts#gone) [fenced](#fenced)',
  ].join('\n');

  it('find broken links, and no others', () => {
    assert.deepEqual(brokenLinks('README.md', page), [
      'README.md:6: gone.md: there is no gone.md',
      'README.md:6: docs/api.md#gone: docs/api.md has no heading for #gone',
      'README.md:6: #gone: README.md has no heading for #gone',
      'README.md:6: ../x: leads out of the repository',
      'README.md:6: /etc: leads out of the repository',
      'README.md:15: dist/virt-sandbox.cjs: leads to what is not kept',
      'README.md:15: src/index.ts#gone: src/index.ts has no anchors',
      'README.md:15: #fenced: README.md has no heading for #fenced',
      'README.md:14: lost.md: there is no lost.md',
    ]);
  });

  it('find lines that are too wide, except for tables, code and addresses', () => {
    const wide = 'x'.repeat(COLUMNS + 1);
    const lines = [`ok ${'é'.repeat(COLUMNS - 3)}`, wide, `| ${wide} |`, `<https://${wide}>`, '', `    ${wide}`, ''];
    const text = [...lines, '```', wide, '```', '- item', `    ${wide}`].join('\n');
    assert.deepEqual(wideLines('x.md', text), ['x.md:2: 121 columns', 'x.md:12: 125 columns']);
  });
});
