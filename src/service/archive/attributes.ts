/** Extended attributes that a state has of a guest, or for what it means. The others tell of the archive's host. */
export const STATE_ATTRIBUTES = ['user.*', 'security.capability', 'trusted.overlay.opaque', 'trusted.overlay.whiteout'];

export function isOfState(attribute: string): boolean {
  return STATE_ATTRIBUTES.some((one) =>
    one.endsWith('*') ? attribute.startsWith(one.slice(0, -1)) : attribute === one,
  );
}
