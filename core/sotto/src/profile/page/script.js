"use strict";
for (const time of document.querySelectorAll("time[data-unix]")) {
  time.textContent = new Date(Number(time.dataset.unix) * 1000).toLocaleString();
}
for (const stack of document.querySelectorAll(".stack")) {
  const data = stack.querySelector(".data");
  const rows = JSON.parse(data.textContent);
  const length = Number(data.dataset.length);
  const readout = stack.querySelector(".readout");
  const hint = readout.textContent;
  const cursors = stack.querySelectorAll(".cursor");
  // What stands in a row at a moment: the last that began before it.
  const at = (row, moment) => {
    let low = 0, high = row.times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (row.times[middle] <= moment) low = middle + 1; else high = middle;
    }
    return low > 0 ? row.texts[low - 1] : null;
  };
  const show = (event) => {
    const plot = event.target.closest(".plot");
    if (!plot) return;
    const box = plot.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const moment = share * length;
    for (const cursor of cursors) {
      cursor.style.left = share * 100 + "%";
      cursor.style.opacity = 1;
    }
    const parts = [];
    const add = (label, text) => {
      const part = document.createElement("span");
      const value = document.createElement("b");
      value.textContent = text;
      part.append(label + " ", value);
      parts.push(part);
    };
    add("at", moment < 100 ? moment.toFixed(1) + " s" : (moment / 60).toFixed(1) + " min");
    for (const row of rows) {
      const text = at(row, moment);
      if (text !== null) add(row.label, text);
    }
    readout.replaceChildren(...parts);
  };
  stack.addEventListener("pointermove", show);
  stack.addEventListener("pointerdown", show);
  stack.addEventListener("pointerleave", () => {
    for (const cursor of cursors) cursor.style.opacity = 0;
    readout.textContent = hint;
  });
}
