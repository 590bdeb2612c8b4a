/** When a registry is asked for an image. */

/** If the store has not got it; always, to see whether the name means another one now; or never. */
export const PULL_POLICIES = ['missing', 'always', 'never'] as const;
export type PullPolicy = (typeof PULL_POLICIES)[number];

export function isPullPolicy(text: string): text is PullPolicy {
  return PULL_POLICIES.some((policy) => policy === text);
}
