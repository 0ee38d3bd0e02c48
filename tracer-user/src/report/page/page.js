"use strict";
// Read-out, zoom and print of the charts. What is read out was written by the tracer; only the places of single reads
// and the names of a zoomed axis are computed here.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const make = (name, attributes, parent) => {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    parent.append(element);
    return element;
  };
  const clamp = (value) => Math.min(1, Math.max(0, value));

  const trimmed = (value) => String(Number(value.toFixed(3)));
  const named = (value, unit) => {
    if (unit === "Bytes" || unit === "BytesPerSecond") {
      const units = ["B", "KiB", "MiB", "GiB", "TiB"];
      let at = 0;
      while (Math.abs(value) >= 1024 && at < 4) { value /= 1024; at += 1; }
      return trimmed(value) + " " + units[at] + (unit === "Bytes" ? "" : "/s");
    }
    if (unit === "Seconds") return trimmed(value) + " s";
    if (unit === "Share") return trimmed(100 * value) + " %";
    return trimmed(value);
  };

  const axis = (words) => {
    const [kind, from, to, unit] = words.split(" ");
    return { kind, from: Number(from), to: Number(to), unit };
  };

  for (const drawn of document.querySelectorAll(".drawn")) {
    const figure = drawn.parentElement;
    const stops = (figure.querySelector(".stops")?.textContent ?? "").split("\n").filter(Boolean).map((line) => {
      const [x, y, ...words] = line.split(" ");
      return { x: Number(x), y: y === "-" ? null : Number(y), says: words.join(" ") };
    });
    const zooms = drawn.dataset.zooms === "yes";
    const bar = document.createElement("div");
    bar.className = "bar";
    const output = document.createElement("output");
    output.setAttribute("aria-live", "polite");
    output.dataset.hint = zooms ? "Point at the chart for figures; drag to look closer." : "Point at the chart for figures.";
    bar.append(output);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Whole chart";
    button.hidden = true;
    bar.append(button);
    drawn.after(bar);

    // The part of the x axis that is seen, of 1; both sizes of the chart show the same.
    let seen = { from: 0, to: 1 };
    let chosen = -1;
    const views = [];

    const showAll = () => {
      for (const view of views) view.show();
      button.hidden = seen.from === 0 && seen.to === 1;
    };
    const zoomTo = (from, to) => {
      if (to - from < 1e-4) return;
      seen = { from: clamp(from), to: clamp(to) };
      output.textContent = "";
      showAll();
    };
    button.addEventListener("click", () => zoomTo(0, 1));

    for (const svg of drawn.querySelectorAll("svg.chart")) {
      const [left, top, width, height] = svg.dataset.plot.split(" ").map(Number);
      const x = axis(svg.dataset.x);
      const y = axis(svg.dataset.y);
      const plot = svg.querySelector("svg.plot");
      const moves = plot.querySelector(".moves");
      const words = [...plot.querySelectorAll(".words text[data-place]")].map((text) => ({ text, place: Number(text.dataset.place) }));
      const names = svg.querySelector(".x-names");
      const ownNames = [...names.childNodes];
      const cross = make("path", { class: "cross", d: "" }, plot);
      const area = make("rect", { class: "chosen", y: 0, height, width: 0 }, plot);
      svg.setAttribute("tabindex", "0");
      const pixel = (place) => width * (place - seen.from) / (seen.to - seen.from);

      const show = () => {
        const scale = 1 / (seen.to - seen.from);
        moves.setAttribute("transform", "translate(" + -seen.from * scale * width + " 0) scale(" + scale + " 1)");
        for (const word of words) word.text.setAttribute("x", Math.max(0, pixel(word.place)) + 4);
        cross.setAttribute("d", "");
        if (scale === 1) { names.replaceChildren(...ownNames); return; }
        names.replaceChildren();
        const from = x.from + seen.from * (x.to - x.from);
        const length = (x.to - x.from) / scale;
        const raw = length / (width > 500 ? 7 : 3);
        const power = x.unit === "Bytes" ? 1 : 10 ** Math.floor(Math.log10(raw));
        const step = x.unit === "Bytes" ? 2 ** Math.ceil(Math.log2(raw)) : [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
        for (let value = Math.ceil(from / step) * step; value <= from + length; value += step) {
          const at = left + width * (value - from) / length;
          make("line", { x1: at, x2: at, y1: top + height, y2: top + height + 4 }, names);
          make("text", { x: at, y: top + height + 17, "text-anchor": "middle" }, names).textContent = named(value, x.unit);
        }
      };

      const say = (place, depth) => {
        let best = -1;
        let distance = Infinity;
        stops.forEach((stop, at) => {
          const dx = pixel(stop.x) - pixel(place);
          const dy = stop.y === null || depth === null ? 0 : (stop.y - depth) * height;
          const far = Math.hypot(dx, dy);
          if (far < distance) { distance = far; best = at; }
        });
        if (best >= 0) { pick(best); return; }
        // Single reads and grids: where the pointer is.
        const value = (axis, at) => named(axis.from + at * (axis.to - axis.from), axis.unit);
        const edge = depth === null ? "" : [...svg.querySelectorAll(".edges text")].map((text) => ({ text, far: Math.abs(Number(text.getAttribute("y")) - 4 - top - depth * height) }))
          .sort((a, b) => a.far - b.far)[0]?.text.textContent ?? "";
        output.textContent = "about " + value(x, place) + (depth === null ? "" : " · " + value(y, 1 - depth) + (edge ? " · near " + edge : ""));
        cross.setAttribute("d", "M" + pixel(place) + " 0V" + height);
      };
      const pick = (at) => {
        chosen = at;
        const stop = stops[at];
        output.textContent = stop.says;
        const px = pixel(stop.x);
        cross.setAttribute("d", stop.y === null ? "M" + px + " 0V" + height : "M" + (px - 9) + " " + stop.y * height + "h18M" + px + " " + (stop.y * height - 9) + "v18");
      };

      const where = (event) => {
        const box = svg.getBoundingClientRect();
        const factor = svg.viewBox.baseVal.width / box.width;
        const px = (event.clientX - box.left) * factor - left;
        const py = (event.clientY - box.top) * factor - top;
        return { place: seen.from + clamp(px / width) * (seen.to - seen.from), depth: clamp(py / height), px: clamp(px / width) * width, inside: px >= 0 && px <= width && py >= 0 && py <= height };
      };
      let start = null;
      svg.addEventListener("pointerdown", (event) => {
        const at = where(event);
        if (!zooms || !at.inside || event.button !== 0 || event.pointerType === "touch") return;
        start = at;
        svg.setPointerCapture(event.pointerId);
        event.preventDefault();
        svg.focus({ preventScroll: true });
      });
      svg.addEventListener("pointermove", (event) => {
        const at = where(event);
        if (start) {
          area.setAttribute("x", Math.min(start.px, at.px));
          area.setAttribute("width", Math.abs(start.px - at.px));
        } else if (at.inside) say(at.place, at.depth);
      });
      svg.addEventListener("pointerup", (event) => {
        if (!start) return;
        const at = where(event);
        area.setAttribute("width", 0);
        if (Math.abs(at.px - start.px) > 4) zoomTo(Math.min(start.place, at.place), Math.max(start.place, at.place));
        start = null;
      });
      svg.addEventListener("dblclick", () => zoomTo(0, 1));
      svg.addEventListener("click", (event) => { const at = where(event); if (at.inside) say(at.place, at.depth); });
      svg.addEventListener("keydown", (event) => {
        const middle = (seen.from + seen.to) / 2;
        const half = (seen.to - seen.from) / 2;
        const near = (direction) => {
          if (stops.length === 0) { say(clamp((seen.from + seen.to) / 2), null); return; }
          let at = chosen < 0 ? 0 : chosen + direction;
          at = Math.min(stops.length - 1, Math.max(0, at));
          pick(at);
        };
        if (event.key === "ArrowRight") near(1);
        else if (event.key === "ArrowLeft") near(-1);
        else if (event.key === "+" && zooms) zoomTo(middle - half / 2, middle + half / 2);
        else if (event.key === "-" && zooms) zoomTo(middle - 2 * half, middle + 2 * half);
        else if (event.key === "0" || event.key === "Escape") zoomTo(0, 1);
        else return;
        event.preventDefault();
      });
      views.push({ show });
    }
  }
  // Marks a page whose script came to its end.
  document.documentElement.dataset.ready = "yes";
})();
