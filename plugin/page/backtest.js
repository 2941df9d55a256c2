const m = data.metrics[0], drawn = [];
const labelled = !!m.detect.windows, count = v => Math.round(v).toLocaleString("en");
const percent = v => v === null || v === undefined ? "–" : (100 * v).toFixed(1) + " %";
const change = r => r === null || r === undefined ? "–" : (r < 1 ? "\u2212" : "+") + Math.abs(100 * (r - 1)).toFixed(1) + " %";

function tile(label, value, note) {
  const t = make("div", "tile", undefined, document.getElementById("tiles"));
  make("div", "label", label, t); make("div", "value", value, t); make("div", "note", note || "", t);
}
function tiles() {
  const rows = m.forecast.by_horizon, first = rows[0], last = rows[rows.length - 1], d = m.detect;
  tile("events", count(m.events), count(m.keys) + " series" + (m.bad ? ", " + count(m.bad) + " bad records" : ""));
  if (m.events_per_second) tile("events per second", count(m.events_per_second), m.us_per_event.toFixed(1) + " µs an event, learning included");
  if (first) {
    tile("forecast error", change(last.relative_mse),
         "mean squared error against persistence, " + (last.h > 1 ? last.h + " steps" : "one step") + " ahead");
    const band = Object.keys(first.coverage).pop();
    if (band) tile("in the " + percent(+band).replace(".0", "") + " band", percent(first.coverage[band]), "of all values, " + (first.h > 1 ? first.h + " steps" : "one step") + " ahead");
  }
  if (labelled) {
    const n = d.windows.hit + d.windows.missed;
    tile("windows found", d.windows.hit + " of " + n, d.windows.delay_rows_median === null ? "" : "median delay " + count(d.windows.delay_rows_median) + " rows");
    tile("false alarms", count(d.false_alarms), d.pointwise.rows ? (1000 * d.false_alarms / d.pointwise.rows).toFixed(2) + " per 1,000 rows" : "");
    if (d.nab.standard.score !== null) tile("NAB score", d.nab.standard.score.toFixed(1), "standard profile at threshold " + d.threshold + "; at the best one " + d.nab.standard.best.toFixed(1));
  } else tile("alerts", count(d.alerts), (1000 * d.alerts / Math.max(1, m.events)).toFixed(2) + " per 1,000 events, threshold " + d.threshold);
  if (d.incidents) tile("incidents", count(d.incidents), "spans with an id of their own, opened and closed");
}

/* ---- overview ---- */

const columnsOf = [
  {name: "series", of: s => s.key, text: true},
  {name: "rows", of: s => s.rows, show: s => count(s.rows)},
  {name: "error / persistence", of: s => s.relative, show: s => s.relative === null ? "–" : s.relative.toFixed(3), meter: true},
  {name: "coverage", of: s => s.coverage, show: s => percent(s.coverage)},
  {name: "windows found", of: s => s.hit === undefined ? null : s.missed * 1000 - s.hit, show: s => s.hit === undefined ? "–" : s.hit + " of " + (s.hit + s.missed), labels: true},
  {name: "delay", of: s => s.delay === undefined ? null : s.delay, show: s => s.delay === null || s.delay === undefined ? "–" : count(s.delay) + " rows", labels: true},
  {name: "false alarms", of: s => s.false === undefined ? null : s.false, show: s => s.false === undefined ? "–" : count(s.false), labels: true}];

/* A row per series; where there is only one of several values, a row per value. */
function overviewRows() {
  if (data.keys !== 1 || !m.forecast.by_value || labelled) return data.overview.slice();
  const mean = list => list.length ? Math.exp(list.reduce((s, v) => s + Math.log(v), 0) / list.length) : null;
  return Object.entries(m.forecast.by_value).map(([name, v]) => {
    const h = v.by_horizon, first = h[0] || {coverage: {}}, band = Object.keys(first.coverage).pop();
    return {key: name, rows: data.overview[0].rows, relative: mean(h.map(r => r.relative_mse).filter(r => r > 0)), mae: first.mae,
            coverage: band ? first.coverage[band] : null, chart: data.charts.length > 0, at: "value-1-" + name};
  }).sort((a, b) => b.relative - a.relative);
}

function overview() {
  const card = document.getElementById("overview"), table = make("table", "", undefined, card);
  const head = make("tr", "", undefined, make("thead", "", undefined, table)), body = make("tbody", "", undefined, table);
  const columns = columnsOf.filter(c => labelled || !c.labels);
  const rows = overviewRows();
  document.getElementById("overview-hint").textContent =
    "worst first" + (labelled ? " by what its alarms lack" : " by its error against persistence") + "; click a column to sort, a series to look at it";
  const ths = columns.map(c => {
    const th = make("th", c.text ? "" : "number", c.name, head);
    th.onclick = () => {
      const up = th.getAttribute("aria-sort") !== "ascending", key = s => c.of(s);
      for (const t of ths) t.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      const none = v => v === null || v === undefined;
      rows.sort((a, b) => none(key(a)) - none(key(b)) || (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (up ? 1 : -1));
      fill();
    };
    return th;
  });
  const fill = () => {
    body.replaceChildren();
    for (const s of rows) {
      const tr = make("tr", "", undefined, body);
      for (const c of columns) {
        const td = make("td", c.text ? "" : "number", c.text ? undefined : c.show(s), tr);
        if (c.text && s.chart) {
          const a = make("a", "", s.key, td);
          a.href = "#" + (s.at || place(s.key));
        } else if (c.text) td.textContent = s.key;
        if (c.meter) {
          const meter = make("span", "meter" + (s.relative > 1 ? " worse" : ""), undefined, td);
          make("i", "", undefined, meter).style.width = Math.min(100, 100 * (s.relative || 0)) + "%";
        }
        if (c.name === "windows found" && s.missed) td.classList.add("bad");
      }
    }
  };
  fill();
}
const places = new Map(data.charts.map((c, i) => [c.key, "series-" + (i + 1)]));
const place = key => places.get(key);

/* ---- forecasts, learning ---- */

function section(id, title, hint) {
  const s = document.getElementById(id), bar = make("div", "bar", undefined, s);
  make("h2", "", title, bar);
  if (hint) make("span", "hint", hint, bar);
  return make("div", "curves", undefined, s);
}
const some = list => list.some(v => v !== null && v !== undefined);

function forecasts() {
  const rows = m.forecast.by_horizon;
  if (!rows.length || !rows[0].n) return;
  const x = rows.map(r => r.h), pick = name => rows.map(r => r[name]), many = m.keys > 1 || m.forecast.by_value;
  const grid = section("forecasts", "Forecasts", m.forecast.units === "scaled" ? "errors in standard deviations of the series" : "");
  const relative = [{name: "eddy", color: "eddy", y: pick("relative_mse")},
                    {name: "persistence", color: "persistence", y: x.map(() => 1)}];
  if (some(pick("relative_seasonal_mse"))) relative.push({name: "seasonal naive", color: "score", y: pick("relative_seasonal_mse")});
  drawn.push(new Curves(grid, {title: "Error by horizon", hint: "mean squared error against persistence" + (many ? ", geometric mean over " + (m.keys > 1 ? "series" : "values") : ""),
                               x, xname: "step", lines: relative, zero: true}));
  const bands = Object.keys(rows[0].coverage), hues = ["ahead", "eddy", "score", "hit"];
  const lines = [];
  bands.forEach((b, i) => {
    lines.push({name: percent(+b).replace(".0", "") + " band", color: hues[i % hues.length], y: rows.map(r => r.coverage[b])});
    if (x.length > 1) lines.push({name: "aim", color: "faint", y: x.map(() => +b), dash: true});
  });
  if (lines.length) drawn.push(new Curves(grid, {title: "Coverage by horizon", hint: "share of values inside their band" + (x.length > 1 ? "; dashed: what it should be" : ""), x, xname: "step", lines, percent: true}));
  if (m.forecast.experts && Object.keys(m.forecast.experts).length > 1) {
    const hues = ["line", "score", "ahead", "hit", "alert", "faint"], each = Object.entries(m.forecast.experts);
    const lines = of => each.map(([name, e], k) => ({name, color: hues[k % hues.length], y: e.by_horizon.map(r => r[of])}));
    const own = lines("relative_mse").concat({name: "together", color: "ink", y: pick("relative_mse")});
    drawn.push(new Curves(grid, {title: "Error of each expert alone", hint: "mean squared error against persistence", x, xname: "step", lines: own, zero: true}));
    drawn.push(new Curves(grid, {title: "Mean weight of each expert", hint: "what is missing to 1 is the last value's", x, xname: "step", lines: lines("weight"), zero: true}));
  }
  const box = make("div", "card figures", undefined, document.getElementById("forecasts")), table = make("table", "", undefined, box);
  const head = make("tr", "", undefined, table), columns = [["step", r => r.h], ["forecasts", r => count(r.n)], ["mse", r => number(r.mse)],
    ["mae", r => number(r.mae)], ["mase", r => number(r.mase)], ["pinball", r => number(r.pinball)], ["persistence mse", r => number(r.persistence_mse)],
    ["seasonal mse", r => number(r.seasonal_mse)], ...bands.map(b => ["in " + b, r => percent(r.coverage[b])])];
  for (const [name] of columns) make("th", "", name, head);
  const step = Math.ceil(rows.length / 12);
  rows.forEach((r, i) => {
    if (i % step && i !== rows.length - 1) return;
    const tr = make("tr", "", undefined, table);
    for (const [, show] of columns) make("td", "", String(show(r)), tr);
  });
}

function learning() {
  const t = data.training.filter(r => r[1] !== null || r[2] !== null), experts = data.experts && data.experts.names.length > 1 && data.experts.weights.length > 1;
  if (t.length < 2 && !experts) return;
  const grid = section("learning", "Learning", "over the events of the replay");
  const x = t.map(r => r[0]);
  if (t.length > 1) {
    drawn.push(new Curves(grid, {title: "Loss", x, xname: "event", lines: [{name: "loss", color: "eddy", y: t.map(r => r[1])}], zero: true}));
    drawn.push(new Curves(grid, {title: "Gradient norm", x, xname: "event", lines: [{name: "gradient norm", color: "ahead", y: t.map(r => r[2])}], zero: true}));
  }
  if (experts) {
    const hues = ["line", "score", "ahead", "hit", "alert", "faint"], w = data.experts.weights;
    drawn.push(new Curves(grid, {title: "Weights of the experts", hint: "mean over series, values and horizons", x: w.map(r => r[0]), xname: "event", zero: true,
      lines: data.experts.names.map((name, k) => ({name, color: hues[k % hues.length], y: w.map(r => r[1][k])}))}));
  }
}

/* ---- series ---- */

function unfold(c) {
  for (let i = 1; i < c.t.length; i++) c.t[i] += c.t[i - 1];
  for (let i = 0; i < c.t.length; i++) c.t[i] *= c.tick;
  const flags = rows => { const f = new Uint8Array(c.t.length); for (const r of rows) f[r] = 1; return f; };
  const a = flags(c.a), open = flags(c.i), end = c.t[c.t.length - 1];
  const step = c.rows > 1 ? (end - c.t[0]) / (c.rows - 1) : 1;
  const spans = c.spans.filter(s => s[1] >= c.t[0] && s[0] <= end).map(([from, to], k) => {
    let at = find(c.t, from);
    while (at < c.t.length && c.t[at] <= to && !a[at] && !open[at]) at++;
    const hit = at < c.t.length && c.t[at] <= to;
    return {from, to, kind: "window " + (k + 1), hit, delay: hit ? c.t[at] - from : 0};
  });
  const fan = f => [[f[0], f[1], null, null], ...data.horizons.map((h, k) => [f[0] + h * step, f[2][k], f[3][k], f[4][k]])];
  return c.values.map((v, k) => ({
    key: v.name || "value", field: "", unit: "", spans: k ? [] : spans, marks: spans, ahead: v.fans.length ? fan(v.fans[v.fans.length - 1]) : [],
    fans: v.fans.slice(0, -1).filter(f => f[1] !== null).map(fan), t: c.t, y: v.y, f: v.f, l: v.l, u: v.u, s: c.s, a, i: open, threshold: data.threshold}));
}
const groups = [];
function series() {
  const all = document.getElementById("groups"), bar = make("div", "bar", undefined, all);
  make("h2", "", "Series", bar);
  make("span", "hint", "worst first" + (data.charts.length < data.keys ? ", " + data.charts.length + " of " + data.keys : "") +
       "; drag to zoom, shift-drag to move, ctrl-wheel to zoom, double-click for all; times are UTC", bar);
  const parts = [["line", "value", 3], ["band", "band of the one-step forecast"], ["ahead", "forecasts, made as time went on", 3],
                 ["score", "anomaly score, 0 to 1", 3], ["alert", "alert", 10], ["incident", "open incident"], ["gap", "value missing", 5]];
  if (labelled) parts.push(["fault", "label window"]);
  legend(all, parts);
  data.charts.forEach((c, i) => {
    const block = make("div", "key-block", undefined, all);
    block.id = place(c.key);
    block.dataset.heading = "h3";
    groups.push(new Group(c.key, unfold(c), block));
    for (const chart of groups[i].charts) chart.canvas.parentNode.id = "value-" + (i + 1) + "-" + chart.s.key;
    const heading = block.querySelector("h3");
    heading.prepend(make("span", "rank", i + 1 + "."));
  });
}

document.title = data.title;
document.getElementById("title").textContent = data.title;
document.getElementById("lead").textContent = "Event by event: each was forecast and scored before anything was learnt from it.";
tiles();
overview();
forecasts();
learning();
series();
document.getElementById("footer").textContent = data.version + ", model " + m.model + (m.state_hash ? ", state " + m.state_hash : "") +
  (data.omitted ? "\n" + count(data.omitted) + " events of series beyond the memory of this report have no chart." : "");
const redraw = () => { groups.forEach(g => g.draw()); drawn.forEach(c => c.draw()); };
addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
