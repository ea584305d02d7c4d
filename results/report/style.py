"""The page's style sheet: light and dark theme, narrow screens, print."""

STYLE = """
:root { --ink: #1d2126; --muted: #5a626d; --line: #d8dce2; --panel: #ffffff; --page: #f6f7f9; --accent: #0060a0;
  color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --muted: #a2aab5; --line: #3a414b; --panel: #1c2026; --page: #13161a; --accent: #7cc4f5; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
header, main, footer { max-width: 72rem; margin: 0 auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 1.2rem 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .6rem; }
h3 { font-size: 1rem; margin: 0 0 .3rem; }
a { color: var(--accent); }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; font-size: .9rem; margin-bottom: 1rem; }
section { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem;
  margin: 0 0 1rem; min-width: 0; }
p { margin: .3rem 0 .8rem; max-width: 46rem; }
figure { margin: 0 0 1rem; }
figcaption, caption, .note { color: var(--muted); font-size: .9rem; }
figcaption { max-width: 46rem; margin-top: .4rem; }
caption { text-align: left; padding-bottom: .4rem; position: sticky; left: 0; max-width: min(46rem, 84vw); }
.plot { min-height: 440px; width: 100%; }
.plot.wide { min-width: 56rem; }
.controls { display: flex; flex-wrap: wrap; gap: .4rem 1rem; font-size: .9rem; margin-bottom: .4rem; }
select { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--line);
  border-radius: .3rem; padding: .15rem .3rem; max-width: 100%; }
code, pre, .picked { font: .85rem/1.45 ui-monospace, monospace; }
td code { white-space: nowrap; }
pre { overflow-x: auto; margin: 0; padding: .8rem; background: var(--page); border-radius: .3rem; }
.picked { display: block; min-height: 1.5em; overflow-wrap: anywhere; user-select: all; }
.scroll { overflow-x: auto; background:
  linear-gradient(90deg, var(--panel) 30%, transparent) left / 3rem 100% no-repeat local,
  linear-gradient(270deg, var(--panel) 30%, transparent) right / 3rem 100% no-repeat local,
  linear-gradient(90deg, var(--line), transparent) left / .8rem 100% no-repeat scroll,
  linear-gradient(270deg, var(--line), transparent) right / .8rem 100% no-repeat scroll; }
button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
th button { font-weight: inherit; text-align: inherit; }
th[aria-sort="ascending"] button::after { content: " \2191"; }
th[aria-sort="descending"] button::after { content: " \2193"; }
.copy { font-size: .75rem; color: var(--accent); border: 1px solid var(--line); border-radius: .3rem;
  padding: 0 .35rem; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; margin: 0; }
.numbers div { min-width: 0; }
.numbers dt { color: var(--muted); font-size: .85rem; }
.numbers dd { margin: 0; font-size: 1.35rem; font-weight: 600; overflow-wrap: anywhere; line-height: 1.25; }
.numbers dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--muted); }
.unit { font-size: .85rem; font-weight: 400; }
.sortable td:first-child { white-space: nowrap; }
.reason { min-width: 15rem; white-space: pre-wrap; overflow-wrap: anywhere; font: .85rem/1.4 ui-monospace, monospace; }
.networks { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 32rem), 1fr)); gap: 1rem; }
.network { border: 1px solid var(--line); border-radius: .4rem; padding: .8rem; min-width: 0; }
.cells { display: flex; flex-wrap: wrap; gap: .8rem; }
.cells figure { margin: 0; min-width: 0; flex: 1 1 14rem; }
.cells svg { width: 100%; max-height: 26rem; height: auto; display: block; }
footer { color: var(--muted); font-size: .85rem; padding-bottom: 2rem; }
@media (max-width: 40rem) {
  main, header, footer { padding: 0 .5rem; }
  section { padding: .7rem; }
}
@media print {
  :root { --ink: #1d2126; --muted: #5a626d; --line: #d8dce2; --panel: #ffffff; --page: #ffffff; --accent: #0060a0; }
  body { font-size: 9pt; }
  nav, .controls, .picked, .modebar, .network details, .copy { display: none; }
  h2, h3 { break-after: avoid; }
  section { border: 0; padding: 0; margin-bottom: .6rem; }
  figure, tr { break-inside: avoid; }
  figcaption, p { max-width: none; }
  figure { margin-bottom: .4rem; }
  .numbers { grid-template-columns: repeat(5, 1fr); gap: .4rem; }
  .numbers dd { font-size: 1.1rem; }
  .scroll { overflow: visible; background: none; }
  .plot, .plot.wide { min-width: 0; min-height: 290px; }
  .networks { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; }
  .network { padding: .4rem; break-inside: avoid; }
  .cells { flex-wrap: nowrap; }
  .cells svg { max-height: 14rem; }
  table, td code { font-size: 7.5pt; }
  th { white-space: normal; vertical-align: bottom; }
  th, td { padding: .15rem .3rem; }
  #table table, #table td code { font-size: 6.5pt; }
  pre { columns: 3; font-size: 7pt; }
}
"""
