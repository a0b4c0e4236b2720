/**
 * The status page's style sheet. It stands in the page itself; the page's security policy names its hash.
 *
 * On a window too narrow for the columns the cells of a line stand in three rows, on a phone in four, and the head of the table
 * becomes a row of links that sort.
 */
export const pageStyle = `
:root {
  color-scheme: light dark;
  --ground: #fbfbfa; --panel: #ffffff; --line: #dcdfe3; --edge: #868e99; --ink: #1b1f24; --soft: #5b6470; --focus: #0b57d0;
  --good: #1a7f4b; --warn: #8a5200; --bad: #b3261e; --spent: #c3cad3; --left: #7fb7a0; --mark: #1b1f24; --due: #9a5b00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b; --panel: #1b1f25; --line: #333a43; --edge: #7a8492; --ink: #e6e9ed; --soft: #9aa4b1; --focus: #8ab4f8;
    --good: #5cc78f; --warn: #e2a33f; --bad: #f2776c; --spent: #454e5a; --left: #2f7f5f; --mark: #ffffff; --due: #e2a33f;
  }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1.25rem 1.5rem 3rem; background: var(--ground); color: var(--ink);
  font: 14px/1.4 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.15rem; }
p { margin: 0.15rem 0; }
a { color: inherit; }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; }
.soft { color: var(--soft); }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.states { display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 0.9rem 0; padding: 0; list-style: none; }
.states a { display: block; padding: 0.4rem 0.8rem; background: var(--panel); border: 1px solid var(--edge); border-radius: 6px;
  text-decoration: none; }
.states a:hover { text-decoration: underline; }
.states a[aria-current] { border-color: currentColor; box-shadow: inset 0 0 0 1px currentColor; }
.states a[aria-current]::after { content: " \\2715"; }
.states b { margin-right: 0.35rem; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
.checks { margin: 0.5rem 0; padding-left: 1.2rem; }
form { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; margin: 0.5rem 0 0.9rem; }
input, select, button { max-width: 100%; padding: 0.35rem 0.6rem; font: inherit; color: inherit; background: var(--panel);
  border: 1px solid var(--edge); border-radius: 6px; }
input[type="search"] { width: 22rem; }
table { width: 100%; border-collapse: separate; border-spacing: 0; background: var(--panel); border: 1px solid var(--line);
  border-radius: 6px; }
th, td { padding: 0.3rem 0.7rem; text-align: left; vertical-align: top; }
td { border-top: 1px solid var(--line); }
thead th { position: sticky; top: 0; z-index: 1; background: var(--panel); border-bottom: 1px solid var(--edge);
  font-weight: 600; white-space: nowrap; }
thead a { text-decoration: none; } thead a:hover { text-decoration: underline; }
th[aria-sort] a::after { content: " \\2193"; }
td.name:first-child { min-width: 15rem; }
td.tight, .now-text { white-space: nowrap; overflow-wrap: normal; }
.trouble td { padding-top: 0; border-top: 0; }
code { font: 12px/1.4 ui-monospace, monospace; }
summary { cursor: pointer; }
svg { display: block; width: 190px; height: 14px; margin: 0.2rem 0; }
.left { fill: var(--left); } .spent { fill: var(--spent); } .due { fill: var(--due); } .now { fill: var(--mark); }
.gone .left, .gone .spent { fill: var(--bad); }
.legend span { white-space: nowrap; }
.legend svg { display: inline-block; width: 14px; height: 10px; margin: 0 0.25rem 0 0.8rem; }
@media (max-width: 64em) {
  body { padding: 0.8rem 0.8rem 2rem; }
  table, tbody, thead, thead tr { display: block; }
  thead { position: sticky; top: 0; z-index: 1; background: var(--panel); border-bottom: 1px solid var(--edge); }
  thead tr { display: flex; flex-wrap: wrap; gap: 0 0.7rem; padding: 0.3rem 0.7rem; }
  thead tr::before { content: "Sort"; color: var(--soft); }
  thead th { position: static; padding: 0; border: 0; font-weight: 400; }
  thead th:nth-child(2) { display: none; }
  thead a { text-decoration: underline; }
  th[aria-sort] a { font-weight: 600; }
  tbody tr { display: grid; gap: 0 0.8rem; padding: 0.4rem 0.7rem; border-top: 1px solid var(--line);
    grid: "pod volume state key" "pod volume validity key" "signer signer validity next" / 1.4fr 1.2fr 190px 11rem; }
  tbody tr.trouble { display: block; padding-top: 0; border-top: 0; }
  td, td.name:first-child { min-width: 0; padding: 0; border: 0; }
  td:nth-child(1) { grid-area: pod; } td:nth-child(2) { grid-area: volume; } td:nth-child(3) { grid-area: signer; }
  td:nth-child(4) { grid-area: key; } td:nth-child(5) { grid-area: state; } td:nth-child(6) { grid-area: validity; }
  td:nth-child(7) { grid-area: next; }
  tr:not(.trouble) > td:nth-child(1) { font-weight: 600; } td:nth-child(1) .soft { font-weight: 400; }
  td:nth-child(3):not(:empty)::before { content: "signer "; color: var(--soft); }
  td:nth-child(7) br { display: none; } td:nth-child(7) .soft { margin-left: 0.4em; }
}
@media (max-width: 46em) {
  tbody tr { grid: "pod state" "volume key" "signer next" "validity validity" / 1fr auto; }
  td:nth-child(4), td:nth-child(5), td:nth-child(7) { max-width: 9.5rem; text-align: right; }
  td:nth-child(6) svg { width: 150px; }
  td:nth-child(6):not(:empty) { display: flex; flex-wrap: wrap; gap: 0 0.6rem; }
  td:nth-child(1) br { display: none; } td:nth-child(1) br + .soft { margin-left: 0.4em; }
  td:nth-child(7).tight { white-space: normal; }
  td:nth-child(3):not(:empty)::before { content: none; }
}
`;
