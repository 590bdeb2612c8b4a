/** What a user proves to a registry who he is with. */

export type Credentials =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  /** What a registry's token server gives a token for. */
  | { readonly kind: 'identity'; readonly token: string };

/** RFC 7617 */
export function basicHeader({ user, password }: { user: string; password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
