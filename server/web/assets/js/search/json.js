// JSON inside of values, shown in lines.
/** pretty breaks JSON into lines. It moves only white space: numbers too long for a double stay as they were written. */
export function pretty(text) {
  if (!/^\s*[[{]/.test(text) || text.length > 1e6) return text;
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let out = "";
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    if (token === "}" || token === "]") {
      depth--;
      if (/[{[]$/.test(out.trimEnd())) out = out.trimEnd();
      else out += `\n${"  ".repeat(depth)}`;
      out += token;
    } else if (token === "{" || token === "[") {
      out += `${token}\n${"  ".repeat(++depth)}`;
    } else if (token === ",") {
      out += `,\n${"  ".repeat(depth)}`;
    } else {
      out += token === ":" ? ": " : token;
    }
  }
  return out;
}
