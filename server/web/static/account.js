// One account: its balance and its ledger, newest first.

import { clear, h, say } from "./dom.js";
import { exactly, moment, number } from "./format.js";
import { get } from "./wire.js";

const PAGE_ENTRIES = 12;

function line(entry) {
  const sign = entry.amount < 0 ? "−" : "+";
  return h("tr", null,
    h("td", { title: exactly(entry.createdAt) }, moment(entry.createdAt)), h("td", { class: "number" }, `${sign}${number(Math.abs(entry.amount))}`),
    h("td", { class: "number" }, number(entry.balanceAfter)), h("td", { class: "number muted" }, `#${entry.id}`));
}

export function accountPanel() {
  const input = h("input", { id: "account", inputmode: "numeric", pattern: "[0-9]*", size: "10", value: "1" });
  const balance = h("p", { class: "balance" });
  const said = h("p", { class: "said", role: "status" });
  const rows = h("tbody");
  const table = h("div", { class: "scroll", hidden: true }, h("table", null, h("caption", { class: "unseen" }, "Entries, newest first"), h("thead", null, h("tr", null,
    h("th", { scope: "col" }, "When"), h("th", { scope: "col", class: "number" }, "Amount"), h("th", { scope: "col", class: "number" }, "Balance"), h("th", { scope: "col", class: "number" }, "Entry"))), rows));
  const older = h("button", { type: "button", hidden: true, onclick: () => read(false) }, "Older entries");
  let cursor = null;

  async function read(isNew) {
    const id = input.value.trim();
    try {
      if (isNew) {
        const account = await get(`/users/${encodeURIComponent(id)}`);
        say(balance, number(account.balance));
        clear(rows);
        cursor = null;
      }
      const page = await get(`/users/${encodeURIComponent(id)}/entries?limit=${PAGE_ENTRIES}${cursor ? `&cursor=${cursor}` : ""}`);
      rows.append(...page.entries.map(line));
      cursor = page.next;
      older.hidden = !cursor;
      table.hidden = false;
      say(said, "");
    } catch (problem) {
      say(balance, "");
      table.hidden = true;
      older.hidden = true;
      say(said, problem.message);
    }
  }

  const node = h("section", { class: "panel account", "aria-labelledby": "h-account" },
    h("header", null, h("h2", { id: "h-account" }, "Account"),
      h("form", { class: "acts", onsubmit: (event) => {
        event.preventDefault();
        read(true);
      } }, h("label", { for: "account" }, "Number"), input, h("button", { type: "submit" }, "Show"))),
    balance, said, table, older);
  return {
    node,
    show: (id) => {
      input.value = String(id);
      read(true);
    },
    begin: () => table.hidden && read(true),
  };
}
