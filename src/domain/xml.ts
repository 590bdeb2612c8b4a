/** Writes XML. The library escapes text and attributes. */
import Builder from 'fast-xml-builder';
import { SandboxError } from '../util/errors.js';

/**
 * An element: `@name` is an attribute, `#` the text, any other name a child, a list several children. Undefined is left
 * out.
 */
export interface Element {
  readonly [name: string]: string | number | Element | readonly Element[] | undefined;
}

/** An element without attributes and content. */
export const EMPTY = '';

const builder = new Builder({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  textNodeName: '#',
  format: true,
  suppressEmptyNode: true,
  suppressBooleanAttributes: false,
});

/**
 * @param document one root element
 * @throws {SandboxError} `text-not-representable` for a control character, which XML cannot hold
 */
export function toXml(document: Element): string {
  return String(builder.build(prune(document)));
}

/** Leaves out undefined values and checks every text. */
function prune(element: Element): Element {
  return Object.fromEntries(
    Object.entries(element)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, pruneValue(value ?? EMPTY)]),
  );
}

function pruneValue(
  value: string | number | Element | readonly Element[],
): string | number | Element | readonly Element[] {
  if (typeof value === 'number') return value;
  if (typeof value === 'string') return checked(value);
  return isList(value) ? value.map(prune) : prune(value);
}

function isList(value: Element | readonly Element[]): value is readonly Element[] {
  return Array.isArray(value);
}

function checked(text: string): string {
  // Newlines and tabs are legal in XML, but in an attribute they are read back as spaces.
  if (![...text].some((character) => character < ' ' || character === '\u007f')) return text;
  throw new SandboxError({
    stage: 'domain',
    code: 'text-not-representable',
    message: `${JSON.stringify(text)} has a control character in it, which libvirt's XML cannot hold`,
    remedy: 'rename it',
  });
}
