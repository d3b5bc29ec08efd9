"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  const table = byId("entries");
  if (!table) return;
  const plain = byId("data"), packed = byId("packed");
  let text;
  if (plain) {
    text = plain.textContent;
  } else if (typeof DecompressionStream === "function") {
    const bytes = Uint8Array.from(atob(packed.textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    text = await new Response(stream).text();
  } else {
    byId("shown").textContent = "This browser is too old for the table; see the TSV files.";
    return;
  }
  const data = JSON.parse(text), count = data.path.length;
  const words = data.states.map((state) => state[1]);
  const value = {
    state: (i) => data.state[i], size: (i) => data.size[i], moved: (i) => data.moved[i],
    path: (i) => data.path[i], dataset: (i) => data.datasets[data.dataset[i]],
    reason: (i) => data.reasons[data.reason[i]],
  };
  const all = Uint32Array.from({ length: count }, (_, i) => i);
  let rows = all, first = 0, key = "", down = false;

  const counts = words.map(() => 0);
  for (const state of data.state) counts[state]++;
  words.forEach((word, i) => {
    if (counts[i]) byId("state").add(new Option(`${word} (${counts[i].toLocaleString("en")})`, i));
  });

  const size = (bytes) => {
    if (bytes < 0) return "";
    if (bytes < 1024) return `${bytes} B`;
    for (const unit of ["KiB", "MiB", "GiB", "TiB"]) {
      bytes /= 1024;
      if (bytes < 1024 || unit === "TiB") return `${bytes.toFixed(1)} ${unit}`;
    }
  };
  // A column that says the same of every row is left out.
  const columns = [
    [2, data.datasets.length < 2], [5, !data.moved.includes(1)],
    [6, !data.reasons.some(Boolean)], [7, !data.sha256.some(Boolean)],
  ];
  for (const [number, empty] of columns) table.classList.toggle(`without-${number}`, empty);
  if (matchMedia("(max-width: 640px)").matches) byId("per").value = "10";
  const cell = (row, text, label, name) => {
    const td = row.insertCell();
    td.textContent = text;
    if (text) td.dataset.label = label;
    if (name) td.className = name;
    return td;
  };
  const show = () => {
    const per = Number(byId("per").value), body = table.tBodies[0];
    first = Math.max(0, Math.min(first, Math.floor((rows.length - 1) / per) * per));
    body.replaceChildren();
    for (const i of rows.subarray(first, first + per)) {
      const row = body.insertRow(), [sign, word, kind] = data.states[data.state[i]];
      const tag = document.createElement("span");
      tag.className = `tag ${kind}`;
      tag.textContent = `${sign} ${word}`;
      cell(row, "", "State").append(tag);
      row.cells[0].dataset.label = "State";
      cell(row, value.dataset(i), "Dataset");
      cell(row, data.path[i], "Path", "path");
      cell(row, size(data.size[i]), "Size", "n");
      cell(row, data.moved[i] ? "yes" : "", "Moved last");
      cell(row, value.reason(i), "Reason", "reason");
      const sha256 = data.sha256.length ? data.sha256[i] : "";
      const last = cell(row, sha256.slice(0, 16), "SHA-256", "path");
      last.title = sha256;
    }
    const end = Math.min(first + per, rows.length);
    const n = (number) => number.toLocaleString("en");
    byId("shown").textContent = rows.length
      ? `${n(first + 1)} to ${n(end)} of ${n(rows.length)}`
      : "No entry matches.";
    byId("back").disabled = first === 0;
    byId("next").disabled = end >= rows.length;
  };
  const order = (list) => {
    if (!key) return list;
    const of = value[key], sign = down ? -1 : 1;
    return list.sort((a, b) => {
      const x = of(a), y = of(b);
      return x < y ? -sign : x > y ? sign : a - b;
    });
  };
  const choose = () => {
    const find = byId("find").value.toLowerCase(), state = byId("state").value;
    const reasons = data.reasons.map((text) => text.toLowerCase().includes(find));
    rows = all.filter((i) =>
      (state === "" || data.state[i] === Number(state)) &&
      (!find || reasons[data.reason[i]] || data.path[i].toLowerCase().includes(find)));
    first = 0;
    rows = order(rows);
    show();
  };
  for (const button of table.querySelectorAll("th button")) {
    button.addEventListener("click", () => {
      down = key === button.dataset.key ? !down : button.dataset.key === "size";
      key = button.dataset.key;
      for (const th of table.tHead.rows[0].cells) if (th.ariaSort) th.ariaSort = "none";
      button.parentElement.ariaSort = down ? "descending" : "ascending";
      first = 0;
      rows = order(rows === all ? all.slice() : rows);
      show();
    });
  }
  byId("find").addEventListener("input", choose);
  byId("state").addEventListener("change", choose);
  byId("per").addEventListener("change", show);
  byId("back").addEventListener("click", () => { first -= Number(byId("per").value); show(); });
  byId("next").addEventListener("click", () => { first += Number(byId("per").value); show(); });
  show();
})();
