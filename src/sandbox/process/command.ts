/** Commands of programs: a text for a shell, or a program and its arguments. */

export type Command = string | readonly string[];

export function argvOf(command: Command): readonly string[] {
  return typeof command === 'string' ? ['/bin/sh', '-c', command] : command;
}

/** What errors call it. */
export function nameOf(command: Command): string {
  return typeof command === 'string' ? command : (command[0] ?? '');
}
