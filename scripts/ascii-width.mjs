/** The width of an ASCII text on a terminal, in columns. */
export default function asciiWidth(text) {
  return text.length;
}
