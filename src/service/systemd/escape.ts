/** Values in unit files: systemd.syntax(7), systemd.unit(5) "Specifiers". */

import { quote } from '../../config/errors.js';
import { serviceError } from '../errors.js';

/** Characters that end a line, or that systemd refuses in a file. */
const CONTROL = /\p{Cc}/u;

/** A value for people, such as a description. */
export function freeText(text: string): string {
  return withoutSpecifiers(text.replace(/\p{Cc}+/gu, ' ').replace(/\\+$/, ''));
}

/** A value that is one path; undefined: no value can be this one. */
export function pathText(path: string): string | undefined {
  return isWritable(path) ? withoutSpecifiers(path) : undefined;
}

/** A value that is a list of paths, without those that cannot be in one. */
export function pathList(paths: readonly string[]): string {
  return paths.filter(isWritable).map(quoted).join(' ');
}

/**
 * The program of a command line. systemd replaces no variable in it.
 * @throws {SandboxError} `service-unit-impossible`
 */
export function programWord(path: string): string {
  if (isWritable(path) && !/["'\\]/.test(path)) return quoted(path);
  throw serviceError(
    'service-unit-impossible',
    `systemd runs no program at ${quote(path)}`,
    'install virt-sandbox where the path has no quotation mark, backslash or control character',
  );
}

/** In the form that lists and command lines have. */
function quoted(text: string): string {
  return /^[A-Za-z0-9_./+=:,@-]+$/.test(text) ? text : `"${withoutSpecifiers(text).replace(/["\\]/g, '\\$&')}"`;
}

/** A value loses blanks at its ends, and continues in the next line behind a backslash. */
function isWritable(path: string): boolean {
  return path.startsWith('/') && !CONTROL.test(path) && !/[\s\\]$/.test(path);
}

function withoutSpecifiers(text: string): string {
  return text.replaceAll('%', '%%');
}
