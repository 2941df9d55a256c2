/* A chart of some lines over one x axis: lines are {name, color, y: [..], dash, value}; `value` is shown beside a bar where
 * there is only one x.  options: {title, hint, x, lines, percent, zero, xname}. */
class Curves {
  constructor(parent, options) {
    this.o = options; this.hover = null;
    const card = make("div", "card", undefined, parent), head = make("div", "head", undefined, card);
    make("h3", "", options.title, head);
    this.read = make("div", "read", undefined, head);
    if (options.hint) make("div", "field", options.hint, card);
    if (options.x.length === 1) { this.bars(card); return; }
    if (options.lines.length > 1) legend(card, options.lines.filter(l => !l.dash).map(l => [l.color, l.name, 3]));
    this.canvas = make("canvas", "", undefined, card);
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", options.title);
    this.canvas.onpointermove = e => { this.hover = e.clientX - this.canvas.getBoundingClientRect().left; this.draw(); };
    this.canvas.onpointerleave = () => { this.hover = null; this.draw(); };
    this.draw();
  }
  say(v) { return v === null || v === undefined ? "–" : this.o.percent ? (100 * v).toFixed(1) + " %" : number(v); }
  bars(card) {
    const most = Math.max(...this.o.lines.map(l => l.y[0] || 0)) || 1;
    for (const l of this.o.lines) {
      const pair = make("div", "pair", undefined, card);
      make("div", "what", l.name, pair);
      const track = make("div", "track", undefined, pair), i = make("i", "", undefined, track);
      i.style.width = 70 * (l.y[0] || 0) / most + "%"; i.style.background = "var(--" + l.color + ")";
      track.append(this.say(l.y[0]));
    }
  }
  draw() {
    const c = this.canvas, ratio = window.devicePixelRatio || 1, w = c ? c.clientWidth : 0;
    if (!w) return;
    const h = c.clientHeight, x = this.o.x;
    c.width = Math.round(w * ratio); c.height = Math.round(h * ratio);
    const g = c.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    let low = Infinity, high = -Infinity;
    for (const l of this.o.lines) for (const v of l.y) if (v !== null && isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
    if (!isFinite(low)) return;
    if (this.o.zero) low = Math.min(0, low);
    const room = (high - low || Math.abs(high) || 1) * .07;
    high += room; if (!this.o.zero || low < 0) low -= room;
    const left = 52, right = w - 12, top = 10, bottom = h - 24;
    const px = v => left + (v - x[0]) / (x[x.length - 1] - x[0] || 1) * (right - left);
    const py = v => bottom - (v - low) / (high - low) * (bottom - top);
    this.axes(g, low, high, px, py, left, right, bottom);
    for (const l of this.o.lines) this.line(g, l, px, py);
    this.cursor(g, px, py, left, top, bottom);
  }
  axes(g, low, high, px, py, left, right, bottom) {
    const x = this.o.x;
    g.font = font(11); g.lineWidth = 1; g.strokeStyle = css("rule"); g.fillStyle = css("faint");
    g.textAlign = "right"; g.textBaseline = "middle";
    for (const v of marks(low, high, 5)) {
      const at = Math.round(py(v)) + .5;
      g.beginPath(); g.moveTo(left, at); g.lineTo(right, at); g.stroke();
      g.fillText(this.o.percent ? +(100 * v).toFixed(1) + " %" : +v.toPrecision(4) + "", left - 7, at);
    }
    g.textAlign = "center"; g.textBaseline = "top";
    const ticks = x.length <= 8 ? x : marks(x[0], x[x.length - 1], 6);
    for (const v of ticks) g.fillText(v >= 10000 ? +(v / 1000).toPrecision(4) + "k" : +v.toPrecision(6) + "", Math.min(right - 8, Math.max(left + 4, px(v))), bottom + 7);
  }
  line(g, l, px, py) {
    g.strokeStyle = g.fillStyle = css(l.color); g.lineWidth = l.dash ? 1.2 : 1.8; g.lineJoin = "round";
    g.setLineDash(l.dash ? [5, 4] : []); g.beginPath();
    let open = false;
    l.y.forEach((v, i) => {
      if (v === null || !isFinite(v)) { open = false; return; }
      if (open) g.lineTo(px(this.o.x[i]), py(v)); else g.moveTo(px(this.o.x[i]), py(v));
      open = true;
    });
    g.stroke(); g.setLineDash([]);
    if (l.dash || l.y.length > 40) return;
    l.y.forEach((v, i) => { if (v !== null) { g.beginPath(); g.arc(px(this.o.x[i]), py(v), 2.6, 0, 7); g.fill(); } });
  }
  cursor(g, px, py, left, top, bottom) {
    this.read.replaceChildren();
    if (this.hover === null) return;
    let at = 0;
    this.o.x.forEach((v, i) => { if (Math.abs(px(v) - this.hover) < Math.abs(px(this.o.x[at]) - this.hover)) at = i; });
    const x = Math.round(px(this.o.x[at])) + .5;
    g.strokeStyle = css("faint"); g.lineWidth = 1; g.setLineDash([2, 3]);
    g.beginPath(); g.moveTo(x, top); g.lineTo(x, bottom); g.stroke(); g.setLineDash([]);
    this.read.append((this.o.xname || "") + " " + this.o.x[at] + " ");
    for (const l of this.o.lines) if (!l.dash) { this.read.append(" " + l.name + " "); make("b", "", this.say(l.y[at]), this.read); }
  }
}
