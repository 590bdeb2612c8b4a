/**
 * The line that a program writes where KVM was preferred and is not used. Most tests are not about it, and run on hosts
 * with KVM and without, so it is taken out of what a program wrote to stderr: one of them, so that a second one shows.
 */
const LINE = /^virt-sandbox(?:-bake)?: no KVM here \(.*\), so the machine is emulated, .*\r?\n/m;

export interface Told {
  /** Without the line. */
  readonly text: string;
  /** The line; undefined if there is none. */
  readonly fallback: string | undefined;
}

export function withoutFallback(text: string): Told {
  const [line] = LINE.exec(text) ?? [];
  return { text: line === undefined ? text : text.replace(line, () => ''), fallback: line?.trimEnd() };
}

/** The text without such lines of several starts. */
export function withoutFallbacks(text: string): string {
  const told = withoutFallback(text);
  return told.fallback === undefined ? told.text : withoutFallbacks(told.text);
}
