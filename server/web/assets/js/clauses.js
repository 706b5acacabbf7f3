// Building query text: a click on a value adds a clause to what the user typed.

// Other names, and words of the language, stand in quotes.
const plainName = /^(?!(and|or|not)$)[A-Za-z_][A-Za-z0-9_.]*$/i;

/** quote writes a text in the quotes of the language, which has all the escapes of JSON but \b and \f. */
export function quote(text) {
  const plain = { "\\b": "\\u0008", "\\f": "\\u000c" };
  return JSON.stringify(text).replace(/\\[^u]/g, (escape) => plain[escape] ?? escape);
}

/** fieldName writes the name of a field as the language wants it. */
export const fieldName = (field) => (plainName.test(field) ? field : quote(field));

/** clause is the query text for "field has exactly this value"; an empty value means that it is missing or empty. */
export function clause(field, value) {
  return value === "" ? `${fieldName(field)}:""` : `${fieldName(field)}:=${quote(value)}`;
}

/** withClause returns query narrowed to the clause, or to its opposite where out is true. */
export function withClause(query, field, value, out) {
  const wanted = clause(field, value);
  const added = out ? `NOT ${wanted}` : wanted;
  const opposite = out ? wanted : `NOT ${wanted}`;
  let base = query.trim();
  if (base === "*") base = "";
  if (base === "") return added;
  if (hasOr(base)) return `(${base}) ${added}`;
  // The opposite of what is asked now would leave nothing; and what is asked already need not be asked twice.
  if (base === opposite) return added;
  if (base.endsWith(` ${opposite}`)) base = base.slice(0, -opposite.length - 1).replace(/(^|\s)NOT$/, "");
  if (base === "" || base === added) return added;
  return base.endsWith(` ${added}`) ? base : `${base} ${added}`;
}

/** hasOr tells whether OR stands outside quotes, so that a clause behind it would bind to the last part only. */
function hasOr(query) {
  return /(^|[\s)])or([\s(]|$)/i.test(query.replace(/"(\\.|[^"\\])*"/g, '""'));
}
