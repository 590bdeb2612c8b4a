/**
 * Lines that depend on the host: one where KVM was preferred and is not used, and one where the host is too busy to set
 * the guest's clock exactly. Most tests are not about them, and run on hosts of all kinds, so they are taken out of what
 * a program wrote to stderr: one of each, so that a second one shows.
 */
const LINE = /^virt-sandbox(?:-bake|-ctl|-image|-service)?: no KVM here \(.*\), so the machine is emulated, .*\r?\n/m;
const LATE = /^virt-sandbox(?:-ctl|-image|-service)?: warning: the guest's clock may be late by (\d+) ms: .*\r?\n/m;

export interface Told {
  /** Without the lines. */
  readonly text: string;
  /** The line about KVM; undefined if there is none. */
  readonly fallback: string | undefined;
  /** By how much the guest's clock may be late, in milliseconds; 0 if nothing is said of it. */
  readonly late: number;
}

export function withoutFallback(text: string): Told {
  const [line] = LINE.exec(text) ?? [];
  const [, late = 0] = LATE.exec(text) ?? [];
  return { text: text.replace(LINE, '').replace(LATE, ''), fallback: line?.trimEnd(), late: Number(late) };
}

/** The text without such lines of several starts. */
export function withoutFallbacks(text: string): string {
  const told = withoutFallback(text);
  return told.text === text ? text : withoutFallbacks(told.text);
}

/** Sentences for `onWarning` without those about the guest's clock. */
export function withoutClock(warnings: readonly string[]): string[] {
  return warnings.filter((sentence) => !sentence.startsWith("the guest's clock may be late by "));
}
