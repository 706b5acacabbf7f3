// What the modules of the page compute without a page: clauses, marks, times, pretty JSON.
import { equal } from "./lib.mjs";

/** units runs in the browser, where the modules live; it returns the results by name. */
export async function units(page, assets) {
  const got = await page.evaluate(async (at) => {
    const [{ withClause }, { pattern }, time, { pretty }, { Lines }] = await Promise.all(
      ["clauses", "search/marks", "time", "search/details", "search/lines"].map((name) => import(`${at}js/${name}.js`)),
    );
    const marks = (query, text) => (text.match(pattern(query)) ?? []).join("|");
    const lines = new Lines();
    const event = (id, ms) => ({ _id: id, "@timestamp": `2026-01-02T03:04:05.${ms}Z` });
    lines.append([event("c", "300"), event("a", "1")]);
    const merged = lines.merge([event("b", "200"), event("c", "300"), event("d", "300000001")], 3);
    return {
      plain: withClause("", "f", "v", false),
      star: withClause("*", "f", "v", true),
      and: withClause("a b", "f.g", 'q"', false),
      or: withClause("a OR b", "f", "v", false),
      orInQuotes: withClause('"a OR b"', "f", "v", false),
      twice: withClause('a f:="v"', "f", "v", false),
      turned: withClause('a f:="v"', "f", "v", true),
      turnedBack: withClause('a NOT f:="v"', "f", "v", false),
      onlyOpposite: withClause('NOT f:="v"', "f", "v", false),
      oddName: withClause("", "a b", "", false),
      keyword: withClause("", "not", "v", false),
      escapes: withClause("", "f", "\b\f\\b\n", false),
      words: marks("cat NOT dog", "cat concat dog cat"),
      phrase: marks('"a (b"', "a (b a b"),
      prefix: marks("con*", "connect con second"),
      field: marks("level:error i(x) *", "level error i x *"),
      han: marks("失败", "用户登录失败"),
      none: String(pattern('f:="x"')),
      api: `${time.forAPI("-7d")} ${time.forAPI("-1h30m")} ${time.forAPI("")}`,
      key: time.key("2026-01-02T11:04:05.5+08:00"),
      behindMilli: time.behind("2026-01-02T03:04:05.999Z"),
      behindMicro: time.behind("2026-01-02T03:04:05.123456Z"),
      behindNano: time.behind("2026-01-02T03:04:05.123456789Z"),
      behindBare: time.behind("2026-12-31T23:59:59Z"),
      step: `${time.stepFor(36e5, 120).text} ${time.stepFor(15 * 6e4, 120).text} ${time.stepFor(365 * 864e5, 120).text} ${time.stepFor(1, 120).text}`,
      notJSON: pretty("[not json"),
      empty: pretty("{ }"),
      nested: pretty('{"a":[],"b":"x,y:{"}'),
      merged: `${merged} ${lines.list.map((l) => l.id).join("")}`,
    };
  }, assets);
  const want = {
    plain: 'f:="v"', star: 'NOT f:="v"', and: 'a b f.g:="q\\""', or: '(a OR b) f:="v"', orInQuotes: '"a OR b" f:="v"',
    twice: 'a f:="v"', turned: 'a NOT f:="v"', turnedBack: 'a f:="v"', onlyOpposite: 'f:="v"', oddName: '"a b":""', keyword: '"not":="v"', escapes: 'f:="\\u0008\\u000c\\\\b\\n"',
    words: "cat|cat", phrase: "a (b", prefix: "con|con", field: "x", han: "失败", none: "null",
    api: "-168h -1h30m ", key: "2026-01-02T03:04:05.500000000Z",
    behindMilli: "2026-01-02T03:04:06.000000000Z", behindMicro: "2026-01-02T03:04:05.123457000Z",
    behindNano: "2026-01-02T03:04:05.123456790Z", behindBare: "2026-12-31T23:59:59.001000000Z",
    step: "30s 10s 96h 10ms", notJSON: "[not json", empty: "{}", nested: '{\n  "a": [],\n  "b": "x,y:{"\n}', merged: "2 dcb",
  };
  for (const name of new Set([...Object.keys(want), ...Object.keys(got)])) equal(got[name], want[name], name);
}
