/** Errors of images, and what they show of texts that others wrote. */
import { SandboxError } from '../util/errors.js';

/** Most characters of a registry's or an image's text that an error shows. */
const MOST_SHOWN = 200;

/** An error of stage `image`; @see SandboxError for the arguments. */
export function imageError(code: string, message: string, remedy: string, cause?: unknown): SandboxError {
  return new SandboxError({ stage: 'image', code, message, remedy, cause });
}

/** A text of others, in quotes and not too long. */
export function quoted(text: string): string {
  return `'${text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text}'`;
}
