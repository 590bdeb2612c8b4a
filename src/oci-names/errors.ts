/** Errors of images, and what they show of texts that others wrote. */
import { SandboxError } from '../util/errors.js';

/** Most characters of a registry's or an image's text that an error shows. */
const MOST_SHOWN = 200;
/** Most texts of a list that an error shows. */
const MOST_LISTED = 10;

/** An error of stage `image`; @see SandboxError for the arguments. */
export function imageError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'image', code, message, remedy, cause });
}

/** A text of others, and not too long. */
export function shown(text: string): string {
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}

/** The same in quotes. */
export function quoted(text: string): string {
  return `'${shown(text)}'`;
}

/** Texts with commas between them, and not too many. */
export function listOf(texts: readonly string[]): string {
  const more = texts.length - MOST_LISTED;
  const first = texts.slice(0, MOST_LISTED).join(', ');
  return more > 0 ? `${first} and ${more} more` : first;
}

/** @param found the sentence that says what is there */
export function sizeWrong(what: string, size: number, found: string): SandboxError {
  return imageError(
    'blob-size-wrong',
    `${what} should have ${size} bytes, and ${found}`,
    'use another tag or registry, or have it pushed again',
  );
}

export function digestWrong(what: string, wanted: string, found: string): SandboxError {
  return imageError(
    'digest-wrong',
    `${what} is not what its digest says: it should be ${wanted} and is ${found}`,
    'use another registry, and ask whose it is',
  );
}
