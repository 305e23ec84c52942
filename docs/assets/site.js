// Sorts a table.sortable by the column whose title is selected; a second selection reverses the order.
document.addEventListener("click", (event) => {
  const title = event.target.closest("table.sortable th");
  if (!title) return;
  const table = title.closest("table");
  const column = [...title.parentNode.children].indexOf(title);
  const down = title.getAttribute("aria-sort") !== "ascending";
  const value = (row) => {
    const cell = row.children[column];
    if (cell.dataset.sort === undefined) return cell.textContent.trim();
    return cell.dataset.sort === "" ? -Infinity : Number(cell.dataset.sort);
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

// Filters the scoreboard; what is chosen stands in the address (?family=…), so that a view can be sent to somebody.
const filters = [...document.querySelectorAll("[data-filter]")];
const shown = () => {
  const wanted = filters.filter((each) => each.value).map((each) => [each.dataset.filter, each.value]);
  let count = 0;
  for (const row of document.querySelectorAll("table.sortable tbody tr")) {
    const fits = wanted.every(([name, value]) => row.dataset[name].split(",").includes(value));
    row.hidden = !fits;
    count += fits;
  }
  const output = document.querySelector(".filters output");
  if (output) output.textContent = `${count} shown`;
};
if (filters.length) {
  const asked = new URLSearchParams(location.search);
  for (const each of filters) {
    each.value = asked.get(each.dataset.filter) ?? "";
    each.addEventListener("change", () => {
      const chosen = new URLSearchParams(filters.filter((one) => one.value).map((one) => [one.dataset.filter, one.value]));
      history.replaceState(null, "", chosen.size ? `?${chosen}` : location.pathname);
      shown();
    });
  }
  shown();
}

// Addresses to cite begin where this site stands.
const root = new URL(document.querySelector(".md-logo")?.getAttribute("href") ?? ".", location.href);
for (const code of document.querySelectorAll(".cite code")) {
  code.textContent = code.textContent.replaceAll("{site}", new URL(".", root).href);
}
