/** Names of images in messages of libvirt and QEMU. */

/** A QEMU that restores a snapshot says that it has no lock, and not of which image. */
export function withImages(text: string, xml: string): string {
  if (!/Failed to get (?:shared )?"[^"]+" lock/.test(text) || text.includes('image ')) return text;
  const images = [...xml.matchAll(/<source (?:file|dev)="([^"]+)"/g)].map(([, path = '']) => unescapeXml(path));
  return images.length === 0 ? text : `${text} of ${images.join(' or ')}`;
}

/** Calls images what the user calls them: the host's path by the path in the XML. */
export function withSources(text: string, sources: ReadonlyMap<string, string> = new Map()): string {
  // The last first: disk.1 begins as disk.10 does.
  return [...sources].reverse().reduce((named, [path, source]) => named.replaceAll(path, source), text);
}

function unescapeXml(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&');
}
