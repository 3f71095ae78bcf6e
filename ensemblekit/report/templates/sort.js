"use strict";
// Without this file all is there to read; with it, columns sort by a click.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, column) => row.cells[column].textContent.trim();
  const compare = (a, b) => {
    const gap = Number(a) - Number(b);
    return Number.isNaN(gap) ? a.localeCompare(b) : gap;
  };
  const sort = (head, column) => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].sort((first, second) => {
      const a = key(first, column), b = key(second, column);
      if (a === "–" || b === "–") return (a === "–") - (b === "–");
      return up ? compare(a, b) : compare(b, a);
    });
    body.append(...rows);
  };
  heads.forEach((head, column) => {
    if (head.hasAttribute("data-fixed")) return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head, column));
    head.append(button);
  });
}
