// What the modules of the page compute without a page: clauses, marks, times, pretty JSON.
import { equal } from "./lib.mjs";

/** units runs in the browser, where the modules live; it returns the results by name. */
export async function units(page, assets) {
  const got = await page.evaluate(async (at) => {
    const [{ withClause }, { pattern }, time, { pretty }, { Lines }, { place }, { sgr }, { grouped, percent, state }, { combine, queryOf }] = await Promise.all(
      ["clauses", "search/marks", "time", "search/json", "search/lines", "search/complete", "search/ansi", "sources/account", "browse/levels"].map((name) => import(`${at}js/${name}.js`)),
    );
    const marks = (query, text) => (text.match(pattern(query)) ?? []).join("|");
    const lines = new Lines();
    const event = (id, ms) => ({ _id: id, "@timestamp": `2026-01-02T03:04:05.${ms}Z` });
    lines.append([event("c", "300"), event("a", "1")]);
    const merged = lines.merge([event("b", "200"), event("c", "300"), event("d", "300000001")], 3);
    const caret = (text) => JSON.stringify(place(text, text.length));
    const account = (id, ranges, gaps, host) => ({ id, host, ranges, gaps, in_flight: [], events: 1, duplicates: 2, conflicts: 0 });
    const [node1, node2] = grouped([account("a", [[0, 900]], [{ from: 900, to: 1000, reason: "missing" }], "n1"), account("b", [[0, 1000]], [], "n1"), account("c", [[0, 5]], [{ from: 5, to: null, reason: "truncated" }], "n2")], "host");
    const minutes = combine([{ field: "d", hits: [{ "@timestamp": "2026-01-01T00:01:30Z", count: 2, by: { d: "x" } }] }, { field: "s", hits: [{ "@timestamp": "2026-01-01T00:00:00Z", count: 5, by: { s: "y" } }] }], Date.parse("2026-01-01T00:00:00Z"), 3);
    return {
      placeField: caret("error lev"),
      placeValue: caret('(a OR k.n:="sh'),
      placeBare: caret("level:"),
      placeQuoted: caret('"two wo'),
      placeQuotedName: caret('"odd na:me":val'),
      placeNegated: caret("-lev"),
      placeNumber: caret("status:>=5"),
      sgr: JSON.stringify(sgr(sgr({}, "1;31"), "0;38;5;2;4")),
      sums: `${node1.sources.length} ${node1.duplicates} ${percent(node1)} ${state(node1)} ${percent(node2)}`,
      minutes: minutes.map((r) => `${r.field}=${r.value}:${r.counts}`).join(" "),
      path: queryOf([["orchestrator.cluster.name", "c"], ["kubernetes.namespace", ""]]),
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
    placeField: '{"kind":"field","from":6,"prefix":"lev"}', placeValue: '{"kind":"value","from":6,"field":"k.n","prefix":"sh","bare":false}',
    placeBare: '{"kind":"value","from":0,"field":"level","prefix":"","bare":true}', placeQuoted: "null", placeNegated: '{"kind":"field","from":1,"prefix":"lev"}',
    placeQuotedName: '{"kind":"value","from":0,"field":"odd na:me","prefix":"val","bare":true}', placeNumber: "null",
    sgr: '{"colour":"green","underline":true}', sums: "2 4 95.00 gap 99.99", minutes: "s=y:5,0,0 d=x:0,2,0", path: 'orchestrator.cluster.name:="c" kubernetes.namespace:""',
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
