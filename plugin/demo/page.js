function errorBars() {
  if (!data.errors.length) return;
  const section = document.getElementById("errors"), bar = make("div", "bar", undefined, section);
  make("h2", "", "Forecast error", bar);
  make("span", "hint", "mean absolute error by horizon; persistence repeats the last value", bar);
  const grid = make("div", "errors", undefined, section);
  for (const group of new Set(data.errors.map(e => e.group))) {
    const rows = data.errors.filter(e => e.group === group), card = make("div", "card", undefined, grid);
    make("h3", "", group, card);
    const most = Math.max(...rows.map(e => Math.max(e.eddy, e.persistence)));
    for (const e of rows) {
      const pair = make("div", "pair", undefined, card);
      make("div", "what", e.label, pair);
      for (const who of ["eddy", "persistence"]) {
        const track = make("div", "track", undefined, pair), i = make("i", "", undefined, track);
        i.style.width = 62 * e[who] / most + "%"; i.style.background = "var(--" + who + ")";
        const change = 100 * (e.eddy / e.persistence - 1);
        track.append(who + " " + number(e[who]) + " " + e.unit);
        if (who === "eddy") make("b", "", (change < 0 ? "\u2212" : "+") + Math.abs(change).toFixed(1) + " %", track);
      }
    }
  }
}
function faultTable() {
  const rows = data.series.flatMap(s => s.spans.map(f => [s, f]));
  if (!rows.length) return;
  const section = document.getElementById("faults"), bar = make("div", "bar", undefined, section);
  make("h2", "", "Injected faults", bar);
  const card = make("div", "card", undefined, section), table = make("table", "", undefined, card);
  const head = make("tr", "", undefined, table);
  for (const h of ["key", "kind", "began", "lasted", "found"]) make("th", "", h, head);
  for (const [s, f] of rows) {
    const tr = make("tr", "", undefined, table);
    for (const text of [s.key, f.kind, day(f.from) + " " + clock(f.from), span(f.to - f.from),
                        f.hit ? (f.delay ? "after " + span(f.delay) : "at once") : "missed"]) make("td", "", text, tr);
  }
}

for (const s of data.series) for (let i = 1; i < s.t.length; i++) s.t[i] += s.t[i - 1];
document.title = data.title;
for (const id of ["title", "lead", "footer"]) document.getElementById(id).textContent = data[id];
for (const t of data.tiles) {
  const tile = make("div", "tile", undefined, document.getElementById("tiles"));
  make("div", "label", t.label, tile); make("div", "value", t.value, tile); make("div", "note", t.note, tile);
}
const parts = [["line", "value", 3], ["band", "band of the one-step forecast"], ["ahead", "forecast from the last event on", 3],
               ["score", "anomaly score, 0 to 1", 3], ["alert", "alert", 10], ["fault", "injected fault"], ["gap", "sensor silent", 5]];
const groups = [...new Set(data.series.map(s => s.group))].map(name =>
  new Group(name, data.series.filter(s => s.group === name), document.getElementById("groups"), parts));
errorBars();
faultTable();
const redraw = () => groups.forEach(g => g.draw());
addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
