// What is drawn of a map of points: its points, the names of clusters, the ring around a card.
const cardlabPoints = (() => {
  "use strict";
  const { make } = cardlab;
  const page = getComputedStyle(document.documentElement);
  const [PAPER, INK, OTHER, PALE] = ["paper", "ink", "other", "pale"].map((name) =>
    page.getPropertyValue(`--${name}`).trim(),
  );

  const unpackPoints = (bytes, n, nColumns) => {
    const axis = (start) => {
      const values = new Uint16Array(n);
      for (let i = 0; i < n; i++) values[i] = bytes[start + i] | (bytes[start + n + i] << 8);
      return values;
    };
    const codes = [];
    for (let k = 0; k < nColumns; k++) codes.push(bytes.subarray((4 + k) * n, (5 + k) * n));
    return { x: axis(0), y: axis(2 * n), codes };
  };

  const unpackCards = (bytes, n) => {
    const rests = new TextDecoder().decode(bytes.subarray(n)).split("\n");
    let before = "";
    return rests.map((rest, i) => (before = before.slice(0, bytes[i]) + rest));
  };

  // The points of each group, one after another.
  const sortedBy = (codes, nGroups) => {
    const starts = new Uint32Array(nGroups + 1);
    for (const code of codes) starts[code + 1] += 1;
    for (let g = 0; g < nGroups; g++) starts[g + 1] += starts[g];
    const next = starts.slice(0, nGroups);
    const order = new Uint32Array(codes.length);
    for (let i = 0; i < codes.length; i++) order[next[codes[i]]++] = i;
    return { starts, order };
  };

  const trace = (ctx, shape, x, y, r) => {
    const s = r * 0.9;
    if (shape === "square") ctx.rect(x - s, y - s, 2 * s, 2 * s);
    else if (shape === "triangle-up" || shape === "triangle-down") {
      const up = shape === "triangle-up" ? -1 : 1;
      ctx.moveTo(x, y + up * 1.2 * r);
      ctx.lineTo(x - 1.15 * r, y - up * 0.8 * r);
      ctx.lineTo(x + 1.15 * r, y - up * 0.8 * r);
      ctx.closePath();
    } else if (shape === "diamond") {
      ctx.moveTo(x, y - 1.3 * r);
      ctx.lineTo(x + 1.1 * r, y);
      ctx.lineTo(x, y + 1.3 * r);
      ctx.lineTo(x - 1.1 * r, y);
      ctx.closePath();
    } else if (shape === "cross") {
      const t = r * 0.42;
      ctx.rect(x - t, y - 1.1 * r, 2 * t, 2.2 * r);
      ctx.rect(x - 1.1 * r, y - t, 2.2 * r, 2 * t);
    } else {
      ctx.moveTo(x + r, y);
      ctx.arc(x, y, r, 0, 2 * Math.PI);
    }
  };

  const swatch = ({ color, shape }) => {
    const canvas = make("canvas", { width: 28, height: 28, className: "swatch" });
    const ctx = canvas.getContext("2d");
    ctx.fillStyle = color;
    ctx.beginPath();
    trace(ctx, shape, 14, 14, 9);
    ctx.fill();
    return canvas;
  };

  // The part of a map that knows its place on the canvas, but nothing of its controls.
  class Picture {
    at(i) {
      return [(this.x[i] - this.cx) * this.k + this.width / 2, this.height / 2 - (this.y[i] - this.cy) * this.k];
    }

    paint() {
      const ctx = this.canvas.getContext("2d");
      ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      ctx.globalAlpha = 1;
      ctx.fillStyle = PAPER;
      ctx.fillRect(0, 0, this.width, this.height);
      const room = Math.sqrt((this.width * this.height) / this.n);
      const r = Math.min(Math.max(0.4 * room, 0.8), 3.2) * Math.min((this.k / this.kAll) ** 0.4, 3);
      this.radius = Math.min(r, 6);
      const { groups } = this.words.columns[this.column];
      const color = (g) => (this.group < 0 || g === this.group ? groups[g].color : PALE);
      // In the order of the points: drawn group by group, the last one would hide the others.
      const rounds = this.group < 0 ? [() => true] : [(g) => g !== this.group, (g) => g === this.group];
      if (this.radius < 2) this.paintDots(ctx, rounds, groups.map((_, g) => color(g)));
      else {
        ctx.globalAlpha = 0.75;
        for (const isDrawn of rounds) this.paintShapes(ctx, isDrawn, groups.map((group, g) => ({ ...group, color: color(g) })));
        ctx.globalAlpha = 1;
      }
      this.paintNames(ctx);
      if (this.found >= 0) this.paintRing(ctx);
      this.say();
    }

    // Too small for shapes. Pixels written one by one are several times as fast as rectangles.
    paintDots(ctx, rounds, colors) {
      const { width, height } = this.canvas;
      const picture = ctx.createImageData(width, height);
      const pixels = new Uint32Array(picture.data.buffer).fill(0xffffffff);
      const codes = this.codes[this.column];
      const k = this.k * this.ratio;
      const side = Math.max(1, Math.round(2 * this.radius * this.ratio));
      const left = width / 2 - this.cx * k - side / 2;
      const top = height / 2 + this.cy * k - side / 2;
      const values = colors.map((color) => {
        const rgb = parseInt(color.slice(1), 16);
        return (0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0;
      });
      for (const isDrawn of rounds) {
        const drawn = colors.map((_, g) => isDrawn(g));
        for (let i = 0; i < this.n; i++) {
          if (!drawn[codes[i]]) continue;
          const px = Math.round(this.x[i] * k + left);
          const py = Math.round(top - this.y[i] * k);
          if (px < 0 || py < 0 || px + side > width || py + side > height) continue;
          for (let row = py * width + px, end = row + side * width; row < end; row += width) {
            pixels.fill(values[codes[i]], row, row + side);
          }
        }
      }
      ctx.putImageData(picture, 0, 0);
    }

    // Some hundred points at a time, those of a group in one path.
    paintShapes(ctx, isDrawn, groups) {
      const { x, y, k, n, width, height, radius: r } = this;
      const codes = this.codes[this.column];
      const left = width / 2 - this.cx * k;
      const top = height / 2 + this.cy * k;
      for (let start = 0; start < n; start += 500) {
        const paths = new Map();
        for (let i = start; i < Math.min(start + 500, n); i++) {
          const px = x[i] * k + left;
          const py = top - y[i] * k;
          if (px < -8 || py < -8 || px > width + 8 || py > height + 8 || !isDrawn(codes[i])) continue;
          if (!paths.has(codes[i])) paths.set(codes[i], new Path2D());
          trace(paths.get(codes[i]), groups[codes[i]].shape, px, py, r);
        }
        for (const [g, path] of paths) {
          ctx.fillStyle = groups[g].color;
          ctx.fill(path);
        }
      }
    }

    // The largest clusters first; a name goes where no other stands, or waits until there is room.
    paintNames(ctx) {
      const size = this.width < 500 ? 11 : 12;
      ctx.font = `600 ${size}px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif`;
      ctx.textBaseline = "middle";
      ctx.lineJoin = "round";
      this.labels = [];
      this.nNames = 0;
      for (const name of this.words.names) {
        const [x, y] = this.at(name.point);
        if (x < 0 || y < 0 || x > this.width || y > this.height) continue;
        this.nNames += 1;
        const w = ctx.measureText(name.text).width + 6;
        const spot = this.spot(x, y, w, size * 1.35);
        if (spot) this.labels.push({ ...name, x, y, w, h: size * 1.35, left: spot[0], top: spot[1] });
      }
      ctx.strokeStyle = INK;
      ctx.lineWidth = 0.8;
      ctx.beginPath();
      for (const { x, y, left, top, w, h } of this.labels) {
        ctx.moveTo(x, y);
        ctx.lineTo(left + w / 2, top + h / 2);
      }
      ctx.stroke();
      const picked = this.group >= 0 && this.words.columns[this.column].name === "cluster";
      for (const { text, group, left, top, h } of this.labels) {
        ctx.strokeStyle = PAPER;
        ctx.lineWidth = 3.5;
        ctx.strokeText(text, left + 3, top + h / 2);
        ctx.fillStyle = picked && group !== this.group ? OTHER : INK;
        ctx.fillText(text, left + 3, top + h / 2);
      }
    }

    spot(x, y, w, h) {
      const free = (left, top) =>
        left >= 0 && top >= 0 && left + w <= this.width && top + h <= this.height &&
        !this.labels.some((o) => left < o.left + o.w && o.left < left + w && top < o.top + o.h && o.top < top + h);
      if (free(x - w / 2, y - h / 2)) return [x - w / 2, y - h / 2];
      for (let distance = 8; distance <= 72; distance += 8) {
        for (let step = 0; step < 12; step++) {
          const angle = (Math.PI * (step + 3)) / 6;
          const left = x - w / 2 + distance * 1.6 * Math.cos(angle);
          const top = y - h / 2 + distance * Math.sin(angle);
          if (free(left, top)) return [left, top];
        }
      }
      return null;
    }

    paintRing(ctx) {
      const [x, y] = this.at(this.found);
      ctx.lineWidth = 2;
      for (const [color, r] of [[PAPER, this.radius + 5.5], [INK, this.radius + 4]]) {
        ctx.strokeStyle = color;
        ctx.beginPath();
        ctx.arc(x, y, r, 0, 2 * Math.PI);
        ctx.stroke();
      }
    }
  }

  return { unpackPoints, unpackCards, sortedBy, swatch, Picture };
})();
