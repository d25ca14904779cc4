"use strict";
// Tables to search, sort and page through. Every text goes in as text, never as HTML.
(() => {
  const WORDS = { "1": "activates", "-1": "represses", "0": "regulates" };
  const NUMBERS = new Set(["number", "count", "weight", "share", "chance"]);

  // As `number` in tables.py.
  function text(value) {
    const size = Math.abs(value);
    let out;
    if (size === 0) out = "0";
    else if (size < 1e-3) out = size.toExponential(1).replace("e-", "e\u2212");
    else if (size >= 1000) out = Math.round(size).toLocaleString("en-US");
    else out = size.toPrecision(3);
    return value < 0 ? "\u2212" + out : out;
  }

  function cell(column, names, row) {
    const value = column.values[row];
    if (column.kind === "name") return names[value];
    if (column.kind === "sign") return WORDS[value];
    if (column.kind === "level") return column.levels[value];
    return column.kind === "count" ? value.toLocaleString("en-US") : text(value);
  }

  // A yes or no for each name: it contains one of the words, or it is the word after "=".
  function matching(names, query) {
    const whole = query.trim();
    if (whole[0] === "=" && names.includes(whole.slice(1))) return names.map(name => name === whole.slice(1));
    const words = whole.toLowerCase().split(",").map(word => word.trim()).filter(word => word && word !== "=");
    if (!words.length) return null;
    return names.map(name => {
      const lower = name.toLowerCase();
      return words.some(word => word[0] === "=" ? lower === word.slice(1).trim() : lower.includes(word));
    });
  }

  // A test of one row, or null where the field asks for nothing.
  function condition(field, columns, names) {
    const column = columns.find(one => one.key === field.dataset.column), values = column.values;
    if (field.value.trim() === "") return null;
    if (column.kind === "name") {
      const kept = matching(names, field.value);
      return kept && (row => kept[values[row]]);
    }
    const number = Number(field.value);
    if (field.dataset.bound === "least") return row => values[row] >= number;
    if (field.dataset.bound === "most") return row => values[row] <= number;
    return row => values[row] === number;
  }

  // Rows in the order of a column; equal ones keep the order they came in.
  function sorted(rows, column, descending, names) {
    const values = column.values;
    let rank = row => values[row];
    if (column.kind === "weight") rank = row => Math.abs(values[row]);
    if (column.kind === "name") {
      // Names stand in alphabetical order already, but capitals first.
      const order = names.map((_, i) => i).sort((a, b) => names[a].localeCompare(names[b], "en", { numeric: true }));
      const place = [];
      order.forEach((name, i) => { place[name] = i; });
      rank = row => place[values[row]];
    }
    return [...rows].sort((a, b) => (descending ? rank(b) - rank(a) : rank(a) - rank(b)) || a - b);
  }

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function build(table) {
    const { names, columns } = JSON.parse(document.getElementById(table.id + "-data").textContent);
    const form = document.querySelector(`form[data-for="${table.id}"]`);
    const fields = [...form.querySelectorAll("[data-column]")], body = table.tBodies[0];
    const page = Number(table.dataset.page);
    const heads = [...table.tHead.rows[0].cells];
    const all = columns[0].values.map((_, row) => row);
    const weight = columns.find(column => column.kind === "weight");
    const strongest = weight ? weight.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) : 0;
    const sign = columns.find(column => column.kind === "sign");
    let rows = all, first = 0, order = null;

    const status = element("p", { className: "status" });
    status.setAttribute("role", "status");
    const earlier = element("button", { type: "button", textContent: "\u2190 Previous" });
    const later = element("button", { type: "button", textContent: "Next \u2192" });
    const save = element("button", { type: "button", textContent: "Save these rows (.tsv)" });
    table.parentElement.after(element("div", { className: "pager" }, earlier, later, status, save));

    function update() {
      const tests = fields.map(field => condition(field, columns, names)).filter(Boolean);
      rows = tests.length ? all.filter(row => tests.every(test => test(row))) : all;
      if (order) rows = sorted(rows, order.column, order.descending, names);
      first = 0;
      show();
    }

    function show() {
      const shown = rows.slice(first, first + page);
      body.replaceChildren(...shown.map(line));
      earlier.disabled = first === 0;
      later.disabled = first + page >= rows.length;
      save.disabled = !rows.length;
      const of = rows.length.toLocaleString("en-US") + (rows.length < all.length ? ` found of ${all.length.toLocaleString("en-US")}` : "");
      status.textContent = rows.length
        ? `Rows ${(first + 1).toLocaleString("en-US")}\u2013${(first + shown.length).toLocaleString("en-US")} of ${of}`
        : "No row fits.";
    }

    function line(row) {
      return element("tr", {}, ...columns.map(column => {
        const words = cell(column, names, row), made = element("td", { className: column.kind });
        if (column.kind === "name") made.append(link(column.key, words));
        else if (column.kind === "sign") made.append(element("span", { className: words, textContent: words }));
        else if (column === weight) made.append(bar(row), element("span", { className: "amount", textContent: words }));
        else made.textContent = words;
        return made;
      }));
    }

    // The weight once more as a length, for the eye alone.
    function bar(row) {
      const made = element("span", { className: WORDS[sign.values[row]] });
      made.style.width = `${strongest ? 100 * Math.abs(weight.values[row]) / strongest : 0}%`;
      const box = element("span", { className: "bar" }, made);
      box.setAttribute("aria-hidden", "true");
      return box;
    }

    function link(key, name) {
      const field = key === "target" || key === "strongest" ? "target" : "source";
      const made = element("button", { type: "button", textContent: name, title: `Edges with ${name} as ${field === "source" ? "regulator" : "target"}` });
      made.addEventListener("click", () => search(field, name, table.id !== "edge-table"));
      return made;
    }

    heads.forEach((head, i) => {
      const button = element("button", { type: "button", textContent: head.textContent });
      const falling = NUMBERS.has(columns[i].kind) && columns[i].kind !== "chance";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const again = order && order.column === columns[i];
        order = { column: columns[i], descending: again ? !order.descending : falling };
        heads.forEach(one => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
        update();
      });
    });
    earlier.addEventListener("click", () => { first = Math.max(0, first - page); show(); });
    later.addEventListener("click", () => { first += page; show(); });
    save.addEventListener("click", () => {
      const plain = (column, row) => NUMBERS.has(column.kind) ? column.values[row] : cell(column, names, row).replace(/[\t\r\n]/g, " ");
      const lines = [columns.map(column => column.key), ...rows.map(row => columns.map(column => plain(column, row)))];
      const content = lines.map(one => one.join("\t")).join("\n") + "\n";
      const address = URL.createObjectURL(new Blob([content], { type: "text/tab-separated-values" }));
      element("a", { href: address, download: table.id + ".tsv" }).click();
      setTimeout(() => URL.revokeObjectURL(address), 1000);
    });
    form.addEventListener("submit", event => event.preventDefault());
    form.addEventListener("input", update);
    form.querySelector(".clear")?.addEventListener("click", () => { form.reset(); update(); });
    update();
  }

  // Look one gene up among the edges; from among them, the other choices hold on.
  function search(column, name, move) {
    const form = document.querySelector('form[data-for="edge-table"]');
    if (move) form.reset();
    form.querySelectorAll('input[type="search"]').forEach(field => { field.value = ""; });
    const field = form.querySelector(`[data-column="${column}"]`);
    field.value = "=" + name;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    if (move) document.getElementById("edges").scrollIntoView();
    field.focus({ preventScroll: true });
  }

  document.body.classList.add("ready");
  document.querySelectorAll("table[id]").forEach(build);
})();
