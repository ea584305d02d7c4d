"""The page's script: draws each picture when it comes into view, and again when a control or the theme changes."""

SCRIPT = r"""
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("pictures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const plots = [...document.querySelectorAll("[data-picture]")];
  const PAPER = { width: 680, height: 290 };  // CSS pixels: two pictures with long captions fit on a page
  const UNWANTED = ["sendChartToCloud", "select2d", "lasso2d", "autoScale2d"];
  let printing = false, opened = [];

  const expand = (value) => {
    if (Array.isArray(value)) return value.map(expand);
    if (value === null || typeof value !== "object") return value;
    if ("$" in value) return data.shared[value.$];
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, expand(part)]));
  };

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const themed = (layout) => {
    const font = { ...layout.font, color: printing ? "#222222" : color("--ink") };
    const hoverlabel = { bgcolor: color("--panel"), bordercolor: color("--line"), font: { color: color("--ink") } };
    const modebar = { bgcolor: "transparent", color: color("--muted"), activecolor: color("--accent") };
    const size = printing ? PAPER : {};
    return { ...layout, ...size, font, hoverlabel, modebar, dragmode: coarse ? false : layout.dragmode };
  };

  const chosen = (plot) => {
    const variants = data.figures[plot.dataset.picture];
    const selects = plot.closest("figure").querySelectorAll("select");
    return variants[[...selects].map((select) => select.value).join("|")];
  };

  const draw = (plot) => {
    const figure = chosen(plot);
    if (!figure) return;
    const { data: traces, layout } = expand(figure);
    plot.dataset.gl = traces.some((trace) => /gl$|parcoords/.test(trace.type || ""));
    const config = { responsive: true, displaylogo: false, displayModeBar: coarse || innerWidth < 640 ? false : "hover",
      modeBarButtonsToRemove: UNWANTED };
    Plotly.react(plot, traces, themed(layout), config);
    plot.dataset.drawn = "yes";
    if (!plot.dataset.listens) {
      plot.dataset.listens = "yes";
      plot.on("plotly_click", (event) => pick(plot, event.points[0]));
    }
  };

  const clear = (plot) => {
    Plotly.purge(plot);
    delete plot.dataset.drawn;
    delete plot.dataset.listens;
  };

  const pick = (plot, point) => {
    const command = chosen(plot).layout.meta && chosen(plot).layout.meta.command;
    if (!command || !point || !point.customdata) return;
    const label = Array.isArray(point.customdata) ? point.customdata[0] : point.customdata;
    const output = plot.closest("figure").querySelector("output"), code = document.createElement("code");
    const button = document.createElement("button");
    code.textContent = button.dataset.copy = command.replace("{point}", () => label);
    Object.assign(button, { type: "button", className: "copy", textContent: "copy" });
    output.replaceChildren(code, " ", button);
  };

  const copy = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {  // not allowed here: the older way
      const area = document.createElement("textarea");
      area.value = button.dataset.copy;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  };

  const sort = (heading) => {
    const body = heading.closest("table").tBodies[0], column = heading.cellIndex;
    const falling = heading.ariaSort === "ascending";
    for (const other of heading.parentElement.cells) other.ariaSort = null;
    heading.ariaSort = falling ? "descending" : "ascending";
    const value = (row) => row.cells[column].dataset.value;
    const compare = (a, b) => (Number(a) - Number(b)) || a.localeCompare(b);
    const missing = (text) => ["nan", "None", "<NA>"].includes(text);
    const rows = [...body.rows].sort((one, other) => {
      const a = value(one), b = value(other);
      if (missing(a) || missing(b)) return missing(a) - missing(b);
      return falling ? compare(b, a) : compare(a, b);
    });
    body.append(...rows);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy) copy(button);
    else if (button.closest("table.sortable th")) sort(button.closest("th"));
  });

  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting && !target.dataset.drawn) draw(target);
      else if (!isIntersecting && target.dataset.drawn && target.dataset.gl === "true") clear(target);
    }
  }, { rootMargin: "300px" });

  for (const plot of plots) {
    observer.observe(plot);
    for (const select of plot.closest("figure").querySelectorAll("select")) {
      select.addEventListener("change", () => draw(plot));
    }
  }
  const redraw = () => plots.filter((plot) => plot.dataset.drawn).forEach(draw);
  dark.addEventListener("change", redraw);
  addEventListener("beforeprint", () => {
    printing = true;
    opened = [...document.querySelectorAll("#sweep details:not([open])")];
    opened.forEach((details) => { details.open = true; });
    plots.forEach(draw);
  });
  addEventListener("afterprint", () => {
    printing = false;
    opened.forEach((details) => { details.open = false; });
    redraw();
  });
})();
"""
