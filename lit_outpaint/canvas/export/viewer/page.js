"use strict";
// Captions and names are data: they enter the page as text (textContent, fillText), never as markup.
(function () {
  const { head, source, steps } = JSON.parse(document.getElementById("data").textContent);
  const [width, height] = head.size_px;
  const shown = { borders: true, captions: false, layout: false, list: true };
  const layout = head.layout || [];
  let current = -1;
  let hovered = -1;

  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  // Head.
  const caption = head.global_caption || "";
  document.getElementById("caption").textContent = caption;
  const facts = {
    size: `${width.toLocaleString("en")} × ${height.toLocaleString("en")} px`,
    steps: steps.length.toLocaleString("en"),
    seed: head.seed,
    model: head.model_fingerprint && head.model_fingerprint.slice(0, 12),
    plan: head.plan && head.plan.join(" + "),
    version: head.versions && head.versions["lit-outpaint"],
  };
  for (const [name, value] of Object.entries(facts)) {
    if (value === undefined || value === null || value === "") continue;
    const pair = element("div");
    pair.append(element("dt", name), element("dd", String(value)));
    document.getElementById("facts").append(pair);
  }

  // Steps.
  const by = (step) => `${step.direction} · by ${step.caption_source}`;
  const buttons = steps.map((step, index) => {
    const button = element("button");
    const line = element("span", undefined, "text");
    line.append(element("span", `${step.step} `, "by"), step.local_caption);
    button.append(line, element("span", by(step), "by"));
    button.addEventListener("click", () => select(index));
    const item = element("li");
    item.append(button);
    document.getElementById("steps").append(item);
    return button;
  });

  // Picture. The canvas drawer may read tiles from the file system; WebGL may not.
  const mapWidth = Math.min(220, 160 * width / height);
  const viewer = OpenSeadragon({
    id: "picture", tileSources: source, drawer: "canvas", showNavigationControl: false, showNavigator: true,
    navigatorPosition: "TOP_RIGHT", navigatorAutoFade: false, navigatorBackground: "transparent",
    navigatorBorderColor: "transparent", navigatorDisplayRegionColor: "#d22", navigatorWidth: `${mapWidth}px`,
    navigatorHeight: `${Math.max(20, mapWidth * height / width)}px`, maxZoomPixelRatio: 8, visibilityRatio: 0.5,
    animationTime: 0.5, gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
  });
  window.viewer = viewer;
  const layer = element("canvas", undefined, "borders");
  viewer.canvas.append(layer);
  const view = () => viewer.viewport;
  const box = ([x0, y0, x1, y1], margin) => {
    const pad = margin * Math.max(x1 - x0, y1 - y0);
    return view().imageToViewportRectangle(x0 - pad, y0 - pad, x1 - x0 + 2 * pad, y1 - y0 + 2 * pad);
  };

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const size = [viewer.canvas.clientWidth, viewer.canvas.clientHeight];
    if (layer.width !== Math.round(size[0] * ratio) || layer.height !== Math.round(size[1] * ratio)) {
      layer.width = Math.round(size[0] * ratio);
      layer.height = Math.round(size[1] * ratio);
      layer.style.width = size[0] + "px";
      layer.style.height = size[1] + "px";
    }
    const pen = layer.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, size[0], size[1]);
    const zero = view().imageToViewerElementCoordinates(new OpenSeadragon.Point(0, 0));
    const end = view().imageToViewerElementCoordinates(new OpenSeadragon.Point(width, height));
    const scale = (end.x - zero.x) / width;
    // On the middle of screen pixels, where a thin line is sharp and neighbours share it.
    const snap = (at) => Math.round(at * ratio - 0.5) / ratio + 0.5 / ratio;
    const place = ([x0, y0, x1, y1]) => {
      const [left, top] = [snap(zero.x + x0 * scale), snap(zero.y + y0 * scale)];
      return [left, top, snap(zero.x + x1 * scale) - left, snap(zero.y + y1 * scale) - top];
    };
    const inSight = ([x, y, w, h]) => x + w >= 0 && y + h >= 0 && x <= size[0] && y <= size[1];
    const stroke = (places, line, thickness) => {
      pen.strokeStyle = line;
      pen.lineWidth = thickness;
      for (const place of places) pen.strokeRect(...place);
    };
    // All shadows lie under all lines: neighbours share edges, and the shadow of one must not hide the line of another.
    const frame = (places, line, thickness) => {
      stroke(places, "rgba(0, 0, 0, 0.35)", thickness + 2);
      stroke(places, line, thickness);
    };
    const seen = steps.map((step) => [step, place(step.strip)]).filter(([, at]) => inSight(at));
    if (shown.borders) {
      frame(seen.map(([, at]) => at).filter((at) => Math.min(at[2], at[3]) > 6), "rgba(255, 255, 255, 0.8)", 1);
      frame([place(head.first_image)].filter(inSight), "rgba(120, 220, 255, 0.9)", 1.5);
    }
    if (shown.captions) {
      for (const [step, at] of seen) if (at[2] > 70 && at[3] > 40) write(pen, `${step.step}  ${step.local_caption}`, at);
    }
    if (shown.layout) {
      const regions = layout.map((region) => [region, place(region.box)]).filter(([, at]) => inSight(at));
      frame(regions.filter(([region]) => !region.is_thing).map(([, at]) => at), "rgba(160, 230, 160, 0.6)", 1);
      frame(regions.filter(([region]) => region.is_thing).map(([, at]) => at), "rgba(160, 255, 120, 0.95)", 2);
      for (const [region, at] of regions) if (at[2] > 50 && at[3] > 30) write(pen, region.text, at);
    }
    for (const index of new Set([hovered, current])) {
      if (index >= 0) frame([place(steps[index].strip)], "#f0b429", index === current ? 2.5 : 1.5);
    }
  }

  function write(pen, text, [x, y, w, h]) {
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "top";
    const lines = [];
    for (const word of text.split(/\s+/)) {
      const longer = lines.length ? `${lines[lines.length - 1]} ${word}` : word;
      if (lines.length && pen.measureText(longer).width <= w - 14) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    const fitting = lines.slice(0, Math.floor((h - 8) / 15));
    pen.save();
    pen.beginPath();
    pen.rect(x, y, w, h);
    pen.clip();
    pen.fillStyle = "rgba(0, 0, 0, 0.55)";
    pen.fillRect(x + 3, y + 3, w - 6, 15 * fitting.length + 6);
    pen.fillStyle = "#ffffff";
    fitting.forEach((line, row) => pen.fillText(line, x + 7, y + 6 + 15 * row));
    pen.restore();
  }

  // What is pointed at or chosen.
  function say(index) {
    const card = document.getElementById("card");
    card.hidden = index < 0;
    if (index < 0) return;
    const step = steps[index];
    card.replaceChildren(
      element("b", `Step ${step.step}  `), element("span", step.local_caption), element("br"),
      element("span", `${by(step)} · seed ${step.seed}`, "by"));
  }

  function select(index) {
    if (!steps.length) return;
    if (current >= 0) buttons[current].removeAttribute("aria-current");
    current = Math.max(0, Math.min(index, steps.length - 1));
    buttons[current].setAttribute("aria-current", "true");
    buttons[current].scrollIntoView({ block: "nearest" });
    view().fitBounds(box(steps[current].strip, 0.6));
    say(current);
    draw();
  }

  function point(event) {
    const frame = viewer.canvas.getBoundingClientRect();
    const at = view().viewerElementToImageCoordinates(
      new OpenSeadragon.Point(event.clientX - frame.left, event.clientY - frame.top));
    const found = steps.findIndex(({ strip: [x0, y0, x1, y1] }) => x0 <= at.x && at.x < x1 && y0 <= at.y && at.y < y1);
    if (found === hovered) return;
    hovered = found;
    say(found >= 0 ? found : current);
    draw();
  }

  // Buttons and keys.
  const press = (name) => document.querySelector(`[data-act="${name}"]`).setAttribute("aria-pressed", String(shown[name]));
  const toggle = (name) => { shown[name] = !shown[name]; press(name); draw(); };
  const pan = (x, y) => {
    const bounds = view().getBounds();
    view().panBy(new OpenSeadragon.Point(x * 0.15 * bounds.width, y * 0.15 * bounds.height)).applyConstraints();
  };
  const zoom = (factor) => view().zoomBy(factor).applyConstraints();
  const acts = {
    zoomIn: () => zoom(1.5), zoomOut: () => zoom(1 / 1.5), whole: () => view().goHome(),
    first: () => view().fitBounds(box(head.first_image, 0.5)),
    borders: () => toggle("borders"), captions: () => toggle("captions"),
    layout: () => { if (layout.length) toggle("layout"); },
    list: () => { toggle("list"); document.body.classList.toggle("no-list", !shown.list); },
    full: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()),
    next: () => select(current + 1), previous: () => select(current < 0 ? 0 : current - 1),
    left: () => pan(-1, 0), right: () => pan(1, 0), up: () => pan(0, -1), down: () => pan(0, 1),
  };
  const keys = {
    "+": "zoomIn", "=": "zoomIn", "-": "zoomOut", 0: "whole", 1: "first", b: "borders", c: "captions", y: "layout", l: "list", f: "full",
    n: "next", p: "previous", ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
  };
  document.querySelector('[data-act="layout"]').hidden = !layout.length;
  for (const button of document.querySelectorAll("[data-act]")) {
    button.addEventListener("click", () => acts[button.dataset.act]());
  }
  document.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[act]();
  });
  viewer.addHandler("canvas-key", (event) => { event.preventDefaultAction = true; });
  viewer.canvas.addEventListener("pointermove", point);
  viewer.canvas.addEventListener("pointerleave", () => { hovered = -1; say(current); draw(); });
  for (const name of ["update-viewport", "resize"]) viewer.addHandler(name, draw);
  viewer.addHandler("open", () => {
    // A long strip seen whole is a thread: begin where it began.
    const shape = width / height / (viewer.canvas.clientWidth / viewer.canvas.clientHeight);
    if (shape > 8 || shape < 1 / 8) view().fitBounds(box(head.first_image, 1), true);
    draw();
  });
  viewer.addHandler("open-failed", (event) => {
    document.getElementById("card").hidden = false;
    document.getElementById("card").textContent = event.message;
  });
})();
