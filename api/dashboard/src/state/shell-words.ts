/** Return a word as a POSIX shell reads it back. */
export function quoted(word: string): string {
  if (word !== "" && /^[\w@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'"'"'`)}'`;
}

/** Return the words of a line as a POSIX shell would, without expanding anything. Throws an Error that says what is not closed. */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let place = 0;
  while (place < line.length) {
    const letter = line.charAt(place);
    if (/\s/.test(letter)) {
      if (word !== null) words.push(word);
      word = null;
      place += 1;
      continue;
    }
    const [text, next] = piece(line, place);
    if (text !== null) word = (word ?? "") + text;
    place = next;
  }
  if (word !== null) words.push(word);
  return words;
}

/** Read what begins at a place: quoted text, an escape or one letter; null text for a line that goes on. */
function piece(line: string, place: number): [string | null, number] {
  const letter = line.charAt(place);
  if (letter === "'") {
    const end = line.indexOf("'", place + 1);
    if (end < 0) throw new Error("a ' is not closed");
    return [line.slice(place + 1, end), end + 1];
  }
  if (letter === '"') return doubleQuoted(line, place + 1);
  if (letter === "\\") {
    const next = line.charAt(place + 1);
    if (next === "\n") return [null, place + 2];
    if (next === "\r" && line.charAt(place + 2) === "\n") return [null, place + 3];
    if (next === "") return [null, place + 1];
    return [next, place + 2];
  }
  return [letter, place + 1];
}

function doubleQuoted(line: string, start: number): [string, number] {
  let text = "";
  for (let place = start; place < line.length; place += 1) {
    const letter = line.charAt(place);
    if (letter === '"') return [text, place + 1];
    const next = line.charAt(place + 1);
    if (letter !== "\\" || !'"\\$`\n'.includes(next) || next === "") text += letter;
    else {
      text += next === "\n" ? "" : next;
      place += 1;
    }
  }
  throw new Error('a " is not closed');
}
