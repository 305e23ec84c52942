// Sorts a table.sortable by the column whose title is selected; a second selection reverses the order.
document.addEventListener("click", (event) => {
  const title = event.target.closest("table.sortable th");
  if (!title) return;
  const table = title.closest("table");
  const column = [...title.parentNode.children].indexOf(title);
  const down = title.getAttribute("aria-sort") !== "ascending";
  const value = (row) => {
    const cell = row.children[column];
    return cell.dataset.sort === undefined ? cell.textContent.trim() : Number(cell.dataset.sort);
  };
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    const order = typeof x === "number" ? x - y : x.localeCompare(y);
    return down ? order : -order;
  });
  for (const other of title.parentNode.children) other.removeAttribute("aria-sort");
  title.setAttribute("aria-sort", down ? "ascending" : "descending");
  body.append(...rows);
});
