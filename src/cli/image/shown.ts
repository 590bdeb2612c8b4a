/** How images are shown to people. What strangers wrote is escaped. */
import type { Tag } from '../../oci/store/tags.js';
import { digestParts } from '../../oci-names/digest.js';
import { oneLine } from '../../util/errors.js';

/** Digits of an id that are shown; they are enough to name the image. */
const SHORT_ID = 12;
const DOCKER = 'docker://';

/** A name as other commands take it: that of a registry's image without `docker://`. */
export function nameText({ name }: Pick<Tag, 'name'>): string {
  return oneLine(name.startsWith(DOCKER) ? name.slice(DOCKER.length) : name);
}

/** The beginning of the manifest's digest. */
export function shortId({ manifest }: Pick<Tag, 'manifest'>): string {
  return digestParts(manifest).digits.slice(0, SHORT_ID);
}

/** Words of a command line. */
export function wordsText(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : oneLine(JSON.stringify(word)))).join(' ');
}

/** A number with its noun: `1 layer`, `2 layers`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
