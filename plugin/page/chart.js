"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const css = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const font = size => size + 'px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

/* Texts from the data only ever become text nodes. */
function make(tag, className, text, parent) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  if (parent) parent.append(e);
  return e;
}
const pad = n => String(n).padStart(2, "0");
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
function day(t) { const d = new Date(t * 1000); return d.getUTCDate() + " " + months[d.getUTCMonth()]; }
function clock(t) { const d = new Date(t * 1000); return pad(d.getUTCHours()) + ":" + pad(d.getUTCMinutes()); }
function span(s) {
  if (s < 3600) return Math.round(s / 60) + " min";
  if (s < 172800) return +(s / 3600).toFixed(1) + " h";
  return +(s / 86400).toFixed(1) + " days";
}
function number(v) {
  if (v === null || v === undefined) return "–";
  const a = Math.abs(v);
  return a >= 1e7 ? v.toExponential(2) : a >= 1e5 ? v.toFixed(0) : a >= 100 ? v.toFixed(1) : a >= 1 ? v.toFixed(2) : v.toPrecision(3);
}

/* First index whose time is not before t. */
function find(times, t) {
  let low = 0, high = times.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (times[mid] < t) low = mid + 1; else high = mid;
  }
  return low;
}

/* Round steps for an axis of about n marks. */
function marks(low, high, n) {
  const raw = (high - low) / n, unit = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 2.5, 5, 10].map(k => k * unit).find(s => s >= raw) || raw;
  const out = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) out.push(v);
  return out;
}
function timeMarks(low, high, n) {
  const steps = [60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 345600, 604800, 1209600, 2592000];
  const step = steps.find(s => (high - low) / s <= n) || Math.ceil((high - low) / n / 2592000) * 2592000;
  const out = [];
  for (let t = Math.ceil(low / step) * step; t <= high; t += step) out.push(t);
  return {step, out};
}

/* One value per pixel column: least, greatest and last of the points that fall in it; null where there is none. */
function columns(s, from, to, x, width) {
  const cols = new Array(Math.max(1, Math.ceil(width))).fill(null);
  for (let i = from; i < to; i++) {
    const k = Math.min(cols.length - 1, Math.max(0, Math.floor(x(s.t[i]))));
    let c = cols[k];
    if (!c) c = cols[k] = {y0: Infinity, y1: -Infinity, last: null, first: null, l: Infinity, u: -Infinity, s: 0, gap: false, open: false};
    if (s.y[i] === null) c.gap = true;
    else {
      if (c.first === null) c.first = s.y[i];
      c.last = s.y[i]; c.y0 = Math.min(c.y0, s.y[i]); c.y1 = Math.max(c.y1, s.y[i]);
    }
    if (s.l[i] !== null) c.l = Math.min(c.l, s.l[i]);
    if (s.u[i] !== null) c.u = Math.max(c.u, s.u[i]);
    c.s = Math.max(c.s, s.s[i] || 0);
    if (s.i && s.i[i]) c.open = true;
  }
  return cols;
}

class Chart {
  constructor(series, group, parent) {
    this.s = series; this.group = group; this.hover = null; this.drag = null;
    const card = make("div", "card", undefined, parent), head = make("div", "head", undefined, card);
    make("span", "key", series.key, head);
    make("span", "field", series.field + (series.unit ? ", " + series.unit : ""), head);
    for (const f of series.spans) this.chip(f, head);
    this.read = make("div", "read", undefined, head);
    this.canvas = make("canvas", "", undefined, card);
    /* Long pages: only charts near the screen are drawn. */
    this.near = false;
    new IntersectionObserver(seen => {
      this.near = seen[seen.length - 1].isIntersecting;
      if (this.near) this.draw();
    }, {rootMargin: "400px"}).observe(this.canvas);
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", series.key + ": values, forecast band and anomaly score over time");
    this.listen();
  }
  chip(f, head) {
    const b = make("button", "chip " + (f.hit ? "hit" : "missed"), f.kind + (f.hit ? " \u2713" : " missed"), head);
    b.title = f.hit ? "alert " + span(f.delay) + " after it began; click to look" : "no alert; click to look";
    b.onclick = () => this.group.show(f.from - 43200, f.to + 43200);
  }
  listen() {
    const c = this.canvas, at = e => this.time(e.clientX - c.getBoundingClientRect().left);
    c.onpointermove = e => {
      if (this.drag) { this.drag.to = e.clientX; if (this.drag.pan) this.pan(e); }
      this.hover = at(e); this.draw();
    };
    c.onpointerleave = () => { if (!this.drag) { this.hover = null; this.draw(); } };
    c.onpointerdown = e => {
      if (e.pointerType === "touch") return;
      c.setPointerCapture(e.pointerId);
      this.drag = {from: e.clientX, to: e.clientX, pan: e.shiftKey, low: this.group.low, high: this.group.high};
    };
    c.onpointerup = e => {
      const d = this.drag; this.drag = null;
      if (d && !d.pan && Math.abs(d.to - d.from) > 6) {
        const left = c.getBoundingClientRect().left, a = this.time(d.from - left), b = this.time(d.to - left);
        this.group.show(Math.min(a, b), Math.max(a, b));
      } else this.draw();
    };
    c.ondblclick = () => this.group.all();
    c.addEventListener("wheel", e => {
      if (!e.ctrlKey && !e.metaKey) return;
      e.preventDefault();
      const t = at(e), k = Math.exp(e.deltaY * .002);
      this.group.show(t - (t - this.group.low) * k, t + (this.group.high - t) * k);
    }, {passive: false});
  }
  pan(e) {
    const d = this.drag, by = (d.from - e.clientX) / this.width * (d.high - d.low);
    this.group.show(d.low + by, d.high + by);
  }
  time(px) { return this.group.low + (px - this.left) / this.width * (this.group.high - this.group.low); }

  draw() {
    const c = this.canvas, ratio = window.devicePixelRatio || 1, w = c.clientWidth, h = c.clientHeight;
    if (!w || !this.near) return;
    if (c.width !== Math.round(w * ratio) || c.height !== Math.round(h * ratio)) {
      c.width = Math.round(w * ratio); c.height = Math.round(h * ratio);
    }
    const g = c.getContext("2d"), s = this.s, low = this.group.low, high = this.group.high;
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    this.left = 48; this.width = w - this.left - 10;
    const top = 16, bottom = h - 74, scoreTop = h - 58, scoreBottom = h - 22;
    const x = t => (t - low) / (high - low) * this.width;
    const from = Math.max(0, find(s.t, low) - 1), to = Math.min(s.t.length, find(s.t, high) + 1);
    const cols = columns(s, from, to, x, this.width);
    const range = this.range(cols, low, high), y = v => bottom - (v - range[0]) / (range[1] - range[0]) * (bottom - top);
    const part = (t0, t1, paint) => {
      g.save(); g.beginPath(); g.rect(this.left, t0, this.width, t1 - t0); g.clip(); g.translate(this.left, 0); paint(); g.restore();
    };
    this.axes(g, range, x, y, w, bottom, scoreTop, scoreBottom);
    part(0, scoreBottom, () => this.faults(g, x, top, scoreBottom));
    part(top - 8, bottom + 3, () => {
      this.band(g, cols, y); this.forecast(g, from, to, x, y); this.line(g, from, to, cols, x, y);
      this.fans(g, x, y); this.ahead(g, x, y); this.gaps(g, cols, bottom);
    });
    part(top - 8, scoreBottom + 1, () => this.scores(g, cols, scoreTop, scoreBottom));
    part(0, scoreBottom + 1, () => this.alerts(g, from, to, x, y, scoreTop, scoreBottom));
    part(0, scoreBottom, () => this.cursor(g, x, y, top, scoreBottom));
  }
  range(cols, low, high) {
    let a = Infinity, b = -Infinity;
    for (const c of cols) if (c && c.last !== null) { a = Math.min(a, c.y0); b = Math.max(b, c.y1); }
    let l = a, u = b;
    for (const c of cols) if (c) { if (isFinite(c.l)) l = Math.min(l, c.l); if (isFinite(c.u)) u = Math.max(u, c.u); }
    if (!isFinite(a)) return [0, 1];
    const room = (b - a || Math.abs(a) || 1) * .35; /* a wild band must not flatten the line */
    a = Math.max(l, a - room); b = Math.min(u, b + room);
    const now = this.s.t[this.s.t.length - 1];
    if ((high - now) / (high - low) > .05)
      for (const p of this.s.ahead) if (p[2] !== null) { a = Math.min(a, p[2]); b = Math.max(b, p[3]); }
    const edge = (b - a || Math.abs(a) || 1) * .05;
    return [a - edge, b + edge];
  }
  axes(g, range, x, y, w, bottom, scoreTop, scoreBottom) {
    g.font = font(11); g.lineWidth = 1; g.strokeStyle = css("rule"); g.fillStyle = css("faint");
    g.textAlign = "right"; g.textBaseline = "middle";
    for (const v of marks(range[0], range[1], 4)) {
      const at = Math.round(y(v)) + .5;
      g.beginPath(); g.moveTo(this.left, at); g.lineTo(w - 10, at); g.stroke();
      g.fillText(+v.toPrecision(6) + "", this.left - 7, at);
    }
    g.fillText("score", this.left - 7, (scoreTop + scoreBottom) / 2);
    g.beginPath(); g.moveTo(this.left, scoreBottom + .5); g.lineTo(w - 10, scoreBottom + .5); g.stroke();
    g.textAlign = "center"; g.textBaseline = "top";
    const tm = timeMarks(this.group.low, this.group.high, Math.max(3, this.width / 95));
    for (const t of tm.out) {
      const at = this.left + x(t);
      if (at > w - 24) continue;
      g.fillText(t % 86400 === 0 ? day(t) : clock(t), at, scoreBottom + 6);
    }
  }
  faults(g, x, top, bottom) {
    g.font = font(11); g.textAlign = "left"; g.textBaseline = "top";
    let free = 0;
    for (const f of this.s.marks || this.s.spans) {
      const a = x(f.from), b = Math.max(x(f.to), a + 2);
      if (b < 0 || a > this.width) continue;
      g.fillStyle = css("fault"); g.fillRect(a, 0, b - a, bottom);
      g.fillStyle = css("fault-edge"); g.fillRect(a, 0, 1, bottom);
      const at = Math.max(a, 0) + 4;
      if (at < free) continue;
      g.fillStyle = css("soft"); g.fillText(f.kind, at, 1);
      free = at + g.measureText(f.kind).width + 4;
    }
  }
  band(g, cols, y) {
    const runs = []; let run = null;
    cols.forEach((c, k) => {
      if (c && isFinite(c.l) && isFinite(c.u)) { if (!run) runs.push(run = []); run.push([k + .5, c.l, c.u]); }
      else if (c) run = null;
    });
    g.fillStyle = css("band");
    for (const r of runs) {
      g.beginPath();
      r.forEach((p, i) => i ? g.lineTo(p[0], y(p[2])) : g.moveTo(p[0], y(p[2])));
      for (let i = r.length - 1; i >= 0; i--) g.lineTo(r[i][0], y(r[i][1]));
      g.closePath(); g.fill();
    }
  }
  line(g, from, to, cols, x, y) {
    g.strokeStyle = css("line"); g.lineWidth = 1.3; g.lineJoin = "round"; g.beginPath();
    let open = false;
    if (to - from < this.width) {
      for (let i = from; i < to; i++) {
        if (this.s.y[i] === null) { open = false; continue; }
        const px = x(this.s.t[i]), py = y(this.s.y[i]);
        if (open) g.lineTo(px, py); else g.moveTo(px, py);
        open = true;
      }
    } else cols.forEach((c, k) => {
      if (!c) return;
      if (c.last === null) { open = false; return; }
      if (open) g.lineTo(k + .5, y(c.first)); else g.moveTo(k + .5, y(c.first));
      g.lineTo(k + .5, y(c.y0)); g.lineTo(k + .5, y(c.y1)); g.lineTo(k + .5, y(c.last));
      open = true;
    });
    g.stroke();
  }
  /* What had been expected, once there is room to tell it from the value. */
  forecast(g, from, to, x, y) {
    if (to - from > this.width / 2) return;
    g.strokeStyle = css("ahead"); g.globalAlpha = .7; g.lineWidth = 1.1; g.setLineDash([3, 2]); g.beginPath();
    let open = false;
    for (let i = from; i < to; i++) {
      if (this.s.f[i] === null) { open = false; continue; }
      if (open) g.lineTo(x(this.s.t[i]), y(this.s.f[i])); else g.moveTo(x(this.s.t[i]), y(this.s.f[i]));
      open = true;
    }
    g.stroke(); g.setLineDash([]); g.globalAlpha = 1;
  }
  /* Some of the forecasts that were made on the way, several steps ahead: [[t, yhat, lower, upper], ..]. */
  fans(g, x, y) {
    for (const fan of this.s.fans || []) {
      if (x(fan[fan.length - 1][0]) - x(fan[0][0]) > 24) this.fan(g, fan, x, y);
    }
  }
  gaps(g, cols, bottom) {
    g.fillStyle = css("gap");
    cols.forEach((c, k) => { if (c && c.gap) g.fillRect(k, bottom - 4, 2, 5); });
  }
  ahead(g, x, y) {
    const a = this.s.ahead.filter(p => p[1] !== null);
    if (a.length < 2) return;
    this.fan(g, a, x, y);
    if (x(a[a.length - 1][0]) - x(a[0][0]) > 40)
      for (const p of a.slice(1)) { g.beginPath(); g.arc(x(p[0]), y(p[1]), 2.6, 0, 7); g.fill(); }
  }
  fan(g, a, x, y) {
    if (x(a[a.length - 1][0]) < 0 || x(a[0][0]) > this.width) return;
    const edge = a.filter(p => p[2] !== null);
    g.fillStyle = css("ahead-band"); g.beginPath();
    edge.forEach((p, i) => i ? g.lineTo(x(p[0]), y(p[3])) : g.moveTo(x(p[0]), y(p[3])));
    for (let i = edge.length - 1; i >= 0; i--) g.lineTo(x(edge[i][0]), y(edge[i][2]));
    g.closePath(); g.fill();
    g.strokeStyle = g.fillStyle = css("ahead"); g.lineWidth = 1.6; g.setLineDash([5, 3]); g.beginPath();
    a.forEach((p, i) => i ? g.lineTo(x(p[0]), y(p[1])) : g.moveTo(x(p[0]), y(p[1])));
    g.stroke(); g.setLineDash([]);
  }
  scores(g, cols, top, bottom) {
    const y = v => bottom - v * (bottom - top);
    g.fillStyle = css("score-fill"); g.strokeStyle = css("score"); g.lineWidth = 1;
    g.beginPath(); g.moveTo(0, bottom);
    let last = 0;
    cols.forEach((c, k) => { if (c) { g.lineTo(k + .5, y(c.s)); last = k; } });
    g.lineTo(last + .5, bottom); g.closePath(); g.fill(); g.stroke();
    if (this.s.threshold < 1) {
      g.strokeStyle = css("faint"); g.setLineDash([2, 4]); g.beginPath();
      g.moveTo(0, y(this.s.threshold)); g.lineTo(this.width, y(this.s.threshold)); g.stroke(); g.setLineDash([]);
    }
    g.fillStyle = css("incident");
    cols.forEach((c, k) => { if (c && c.open) g.fillRect(k, top - 2, 1.5, bottom - top + 2); });
  }
  alerts(g, from, to, x, y, scoreTop, scoreBottom) {
    g.fillStyle = g.strokeStyle = css("alert");
    for (let i = from; i < to; i++) {
      if (!this.s.a[i]) continue;
      const px = x(this.s.t[i]), py = this.s.y[i] === null ? null : y(this.s.y[i]);
      g.globalAlpha = .55; g.lineWidth = 1;
      g.beginPath(); g.moveTo(px, py === null ? scoreTop : py); g.lineTo(px, scoreBottom); g.stroke();
      g.globalAlpha = 1;
      if (py !== null) { g.beginPath(); g.arc(px, py, 4, 0, 7); g.fill(); }
      g.beginPath(); g.moveTo(px - 5, scoreTop - 7); g.lineTo(px + 5, scoreTop - 7); g.lineTo(px, scoreTop + 1); g.fill();
    }
  }
  cursor(g, x, y, top, bottom) {
    if (this.drag && !this.drag.pan && Math.abs(this.drag.to - this.drag.from) > 6) {
      const left = this.canvas.getBoundingClientRect().left + this.left;
      g.fillStyle = css("band");
      g.fillRect(Math.min(this.drag.from, this.drag.to) - left, 0, Math.abs(this.drag.to - this.drag.from), bottom);
    }
    this.read.replaceChildren();
    const s = this.s;
    if (this.hover === null || !s.t.length) return;
    let i = Math.min(s.t.length - 1, find(s.t, this.hover));
    if (i > 0 && this.hover - s.t[i - 1] < s.t[i] - this.hover) i--;
    g.strokeStyle = css("faint"); g.lineWidth = 1; g.setLineDash([2, 3]);
    g.beginPath(); g.moveTo(Math.round(x(s.t[i])) + .5, top); g.lineTo(Math.round(x(s.t[i])) + .5, bottom); g.stroke(); g.setLineDash([]);
    const say = (label, text) => { this.read.append(label); make("b", "", text, this.read); };
    say(day(s.t[i]) + " " + clock(s.t[i]) + "  value ", s.y[i] === null ? "missing" : number(s.y[i]));
    say("  forecast ", number(s.f[i]) + " (" + number(s.l[i]) + " to " + number(s.u[i]) + ")");
    say("  score ", (s.s[i] || 0).toFixed(2) + (s.a[i] ? " ALERT" : ""));
  }
}

/* Charts that share a time axis. */
class Group {
  /* parent: where the bar, the legend and a card per series go; parts: rows of the legend. */
  constructor(name, series, parent, parts) {
    this.start = Math.min(...series.map(s => s.t[0] || 0));
    this.end = Math.max(...series.map(s => s.ahead.length ? s.ahead[s.ahead.length - 1][0] : s.t[s.t.length - 1] || 1));
    const bar = make("div", "bar", undefined, parent);
    make(parent.dataset.heading || "h2", "", name, bar);
    if (parts) make("span", "hint", "drag to zoom, shift-drag to move, double-click for all; times are UTC", bar);
    const zoom = make("div", "zoom", undefined, bar), button = (text, run) => { make("button", "", text, zoom).onclick = run; };
    const last = Math.min(86400, (this.end - this.start) / 6);
    button("\u2190", () => this.show(this.low - (this.high - this.low) / 2, this.high - (this.high - this.low) / 2));
    button("\u2192", () => this.show(this.low + (this.high - this.low) / 2, this.high + (this.high - this.low) / 2));
    button("all", () => this.all());
    button("end, with what comes next", () => this.show(this.end - last, this.end));
    if (parts) legend(parent, parts); /* none: the page has said all that for several groups */
    this.charts = series.map(s => new Chart(s, this, parent));
    this.all();
  }
  all() { this.show(this.start, this.end); }
  show(low, high) {
    const width = Math.min(this.end - this.start, Math.max(high - low, 600));
    this.low = Math.max(this.start, Math.min(low, this.end - width));
    this.high = this.low + width;
    this.draw();
  }
  draw() { for (const c of this.charts || []) c.draw(); }
}
/* parts: [colour, text, height of the mark in px or nothing]. */
function legend(parent, parts) {
  const l = make("div", "legend", undefined, parent);
  for (const [color, text, height] of parts) {
    const e = make("span", "", undefined, l), i = make("i", "", undefined, e);
    i.style.background = "var(--" + color + ")";
    if (height) { i.style.height = height + "px"; i.style.verticalAlign = height < 10 ? "3px" : "-1px"; }
    if (color === "alert") { i.style.width = "10px"; i.style.borderRadius = "50%"; }
    if (color === "gap") i.style.width = "5px";
    e.append(text);
  }
}
