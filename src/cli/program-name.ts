/**
 * The name of the program that this process is, as the user called it: messages begin with it. Code of virt-sandbox is
 * also that of `virt-sandbox-image run` and of what holds a pool.
 */

let called = 'virt-sandbox';

/** The entry point of a process calls it once; one that holds something has the name of the one that started it. */
export function nameProgram(name: string): void {
  called = name;
}

export function programName(): string {
  return called;
}
