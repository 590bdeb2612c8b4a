/** The columns that an ASCII text takes on a terminal. */
export default function asciiWidth(text) {
  return text.length;
}
