// Lines as a small cluster writes them, for the browser test and its screenshots.
let state = 7;
// Mulberry32: the same lines at every run, so that screenshots can be compared.
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let x = Math.imul(state ^ (state >>> 15), 1 | state);
  x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
  return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
}
const pick = (list) => list[Math.floor(random() * list.length)];

const pods = [
  { ns: "shop", pod: "cart-7d9c5b6f4-x2kqz", container: "cart" },
  { ns: "shop", pod: "checkout-5f8d7c9b8-mm4tp", container: "checkout" },
  { ns: "shop", pod: "checkout-5f8d7c9b8-qz81d", container: "istio-proxy" },
  { ns: "payments", pod: "ledger-0", container: "ledger" },
  { ns: "kube-system", pod: "coredns-6799fbcd5-9wcvr", container: "coredns" },
];
const texts = {
  info: ["GET /api/cart/{n} 200 {m}ms", "order {n} accepted, 3 items, total 129.90", "reconciled 14 accounts in {m}ms", "用户登录成功 id={n}", "connection from 10.2.{a}.{b}:51442 accepted"],
  debug: ["cache hit cart:{n}", "retry budget 0.{m}, leaving as is", "GC pause {a}µs"],
  warn: ["slow query: 1{m} ms: SELECT * FROM orders WHERE customer = {n}", "upstream 10.2.{a}.{b} answered after {m}ms, retrying"],
  error: ["payment of order {n} failed: card declined", "dial tcp 10.2.{a}.{b}:5432: connect: connection refused", "用户登录失败 id={n}: 密码错误"],
};

/** seed returns n events in the last 55 minutes, with a burst of errors in the middle. */
export function seed(n) {
  const now = Date.now();
  return Array.from({ length: n }, () => {
    const burst = random() < 0.16;
    const ago = burst ? 20 * 60e3 + random() * 3 * 60e3 : 20e3 + random() * 55 * 60e3;
    const r = random();
    const level = r < (burst ? 0.6 : 0.02) ? "error" : r < 0.75 ? "info" : r < 0.8 ? "warn" : r < 0.97 ? "debug" : "info";
    const fill = (s) => s.replace(/\{(\w)\}/g, (_, k) => String(Math.floor(random() * { n: 90000, m: 900, a: 250, b: 250 }[k])));
    const { ns, pod, container } = pick(pods);
    return {
      "@timestamp": new Date(now - ago).toISOString(),
      message: fill(pick(texts[level])),
      "log.level": level,
      "kubernetes.namespace": ns,
      "kubernetes.pod.name": pod,
      "kubernetes.container.name": container,
      "kubernetes.node.name": pick(["node-1", "node-2", "node-3"]),
      "host.name": "node-1",
      "log.file.path": `/k8spods/${pod}/volumes/app.log`,
      "event.duration": Math.floor(random() * 9e6),
    };
  });
}
