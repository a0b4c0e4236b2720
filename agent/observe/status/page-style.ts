/** The status page's style sheet. It stands in the page itself; the page's security policy names its hash. */
export const pageStyle = `
:root {
  color-scheme: light dark;
  --ground: #fbfbfa; --panel: #ffffff; --line: #dcdfe3; --ink: #1b1f24; --soft: #5b6470;
  --good: #1a7f4b; --warn: #9a5b00; --bad: #b3261e; --spent: #c3cad3; --left: #7fb7a0; --mark: #1b1f24; --due: #9a5b00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b; --panel: #1b1f25; --line: #333a43; --ink: #e6e9ed; --soft: #9aa4b1;
    --good: #5cc78f; --warn: #e2a33f; --bad: #f2776c; --spent: #454e5a; --left: #2f7f5f; --mark: #ffffff; --due: #e2a33f;
  }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1.25rem 1.5rem 3rem; background: var(--ground); color: var(--ink);
  font: 14px/1.45 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.15rem; }
p { margin: 0.15rem 0; }
a { color: inherit; }
.soft { color: var(--soft); }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.states { display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 0.9rem 0; padding: 0; list-style: none; }
.states li { padding: 0.4rem 0.8rem; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; }
.states b { margin-right: 0.35rem; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
.checks { margin: 0.5rem 0; padding-left: 1.2rem; }
form { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; margin: 0.5rem 0 0.9rem; }
input, select, button { padding: 0.35rem 0.6rem; font: inherit; color: inherit; background: var(--panel);
  border: 1px solid var(--line); border-radius: 6px; }
input[type="search"] { width: 22rem; max-width: 100%; }
.frame { overflow-x: auto; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 0.4rem 0.7rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; font-weight: 600; white-space: nowrap; }
thead a { text-decoration: none; } thead a:hover { text-decoration: underline; }
th[aria-sort] a::after { content: " \\2193"; }
td { overflow-wrap: anywhere; }
td.name { min-width: 11rem; } td.files { min-width: 18rem; }
td.tight { white-space: nowrap; overflow-wrap: normal; }
code { font: 12px/1.4 ui-monospace, monospace; }
svg { display: block; width: 190px; height: 14px; margin: 0.2rem 0; }
.left { fill: var(--left); } .spent { fill: var(--spent); } .due { fill: var(--due); } .now { fill: var(--mark); }
.gone .left, .gone .spent { fill: var(--bad); }
.legend svg { display: inline-block; width: 14px; height: 10px; margin: 0 0.25rem 0 0.8rem; }
`;
