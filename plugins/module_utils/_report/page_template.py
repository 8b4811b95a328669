# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markup and style of the report's page. PRIVATE to the collection."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fbfbf9; --sheet: #ffffff; --ink: #1c1f23; --soft: #5b636d; --line: #dfe2e5;
  --before: #b3bac2; --after: #2f7d4f; --process: #2b6ca8; --headroom: #c5ddf1; --unmeasured: #d9dce0;
  --schedulable: #c9ced4; --cordoned: #e0a526; --evicting: #d97f2f; --withdrawn: #c8553d; --serving: #6b9bd1;
  --proven: #3f8f8b; --in-service: #2f7d4f; --restored: #7d8f3a; --held: #7a5ba6; --failed: #8b1e3f; --good: #2f7d4f; --bad: #b3312a;
  --user-0: #3b75af; --user-1: #d98032; --user-2: #3f8f58; --user-3: #a3468f; --user-4: #c9ab26; --user-5: #d65c68; --user-6: #53b1c9; --user-7: #8a6444;
  --user-others: #8d969f; --user-outside: #3d444c; --unattributed: #b9a4d6; --reserved: #c3c7cc; --card: #eceeef; --mig-device: #d2d8de; --ceiling: #b3312a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --sheet: #1c2024; --ink: #e7e9eb; --soft: #a0a8b1; --line: #343a40;
    --before: #616a74; --after: #5dbb83; --process: #5b9fdc; --headroom: #30567a; --unmeasured: #40474f;
    --schedulable: #4a525b; --cordoned: #e6b450; --evicting: #f09a52; --withdrawn: #e07a62; --serving: #7fb0e6;
    --proven: #5bb5b0; --in-service: #5dbb83; --restored: #b5c46a; --held: #b79be0; --failed: #e0557f; --good: #5dbb83; --bad: #f0837c;
    --user-0: #6ba3de; --user-1: #f0a35c; --user-2: #62b97f; --user-3: #cf83bf; --user-4: #e0c854; --user-5: #f08791; --user-6: #7fd3e6; --user-7: #b98e69;
    --user-others: #848d97; --user-outside: #d5dade; --unattributed: #7d6a9c; --reserved: #4a525a; --card: #282d33; --mig-device: #3c454f; --ceiling: #ff8f85;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
}
main { max-width: 70rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .25rem 0 .75rem; max-width: 46rem; }
pre { overflow-x: auto; }
pre, code { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .9em; }
.soft, .subtitle { color: var(--soft); }
.subtitle { margin-bottom: 1.5rem; overflow-wrap: anywhere; }
.verdict { font-weight: 600; }
.verdict.good { color: var(--good); }
.verdict.bad { color: var(--bad); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem; margin: 1.25rem 0 2rem; padding: 0; list-style: none; }
.cards li { background: var(--sheet); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
.cards b { display: block; font-size: 1.5rem; line-height: 1.25; font-weight: 650; font-variant-numeric: tabular-nums; white-space: nowrap; }
.cards span { color: var(--soft); font-size: .875rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; align-items: start; }
figure { margin: 0; background: var(--sheet); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem 1.25rem 1.25rem; break-inside: avoid; }
figure.timeline, figure.cards-memory, figure.courses { grid-column: 1 / -1; }
figcaption { font-weight: 600; margin-bottom: .5rem; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1rem; margin: 0 0 1rem; padding: 0; list-style: none; font-size: .8125rem; color: var(--soft); }
.legend li { display: flex; align-items: baseline; }
.legend i { flex: none; width: .75rem; height: .75rem; border-radius: .15rem; margin-right: .4rem; position: relative; top: .05rem; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--ink); font-family: inherit; font-size: 13px; }
svg .label { font-weight: 550; }
svg .detail, svg .tick { fill: var(--soft); font-size: 11.5px; }
svg .figure { font-variant-numeric: tabular-nums; font-size: 12px; }
svg .axis { stroke: var(--line); stroke-width: 1; }
.narrow { display: none; }
.before { fill: var(--before); background: var(--before); }
.after { fill: var(--after); background: var(--after); }
.process { fill: var(--process); background: var(--process); }
.headroom { fill: var(--headroom); background: var(--headroom); }
.unmeasured { fill: var(--unmeasured); background: var(--unmeasured); }
.schedulable { fill: var(--schedulable); background: var(--schedulable); }
.cordoned { fill: var(--cordoned); background: var(--cordoned); }
.evicting { fill: var(--evicting); background: var(--evicting); }
.withdrawn { fill: var(--withdrawn); background: var(--withdrawn); }
.serving { fill: var(--serving); background: var(--serving); }
.proven { fill: var(--proven); background: var(--proven); }
.in-service { fill: var(--in-service); background: var(--in-service); }
.healthy { fill: var(--good); background: var(--good); opacity: .75; }
.unhealthy { fill: var(--bad); background: var(--bad); }
.restored { fill: var(--restored); background: var(--restored); }
.evicted, .recreated { fill: var(--ink); background: var(--ink); }
.legend i.evicted, .legend i.recreated { width: .2rem; margin-left: .25rem; margin-right: .7rem; }
.held { fill: var(--held); background: var(--held); }
.failed { fill: var(--failed); background: var(--failed); }
.user-0 { fill: var(--user-0); background: var(--user-0); }
.user-1 { fill: var(--user-1); background: var(--user-1); }
.user-2 { fill: var(--user-2); background: var(--user-2); }
.user-3 { fill: var(--user-3); background: var(--user-3); }
.user-4 { fill: var(--user-4); background: var(--user-4); }
.user-5 { fill: var(--user-5); background: var(--user-5); }
.user-6 { fill: var(--user-6); background: var(--user-6); }
.user-7 { fill: var(--user-7); background: var(--user-7); }
.user-others { fill: var(--user-others); background: var(--user-others); }
.user-outside { fill: var(--user-outside); background: var(--user-outside); }
.unattributed { fill: var(--unattributed); background: var(--unattributed); }
.reserved { fill: var(--reserved); background: var(--reserved); }
.card { fill: var(--card); }
.mig-device { fill: var(--mig-device); background: var(--mig-device); }
svg .slot-line { stroke: var(--ink); stroke-width: 1; }
svg .ceiling { stroke: var(--ceiling); stroke-width: 2; }
.legend i.slot-line { width: .08rem; margin: 0 .7rem 0 .32rem; background: var(--ink); border-radius: 0; }
.legend i.ceiling { width: .15rem; margin: 0 .65rem 0 .3rem; background: var(--ceiling); }
.note { font-size: .875rem; color: var(--soft); margin: .75rem 0 0; }
.scroll { width: fit-content; max-width: 100%; overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; background: var(--sheet); }
table { border-collapse: collapse; font-size: .875rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .65rem; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); white-space: nowrap; }
td { white-space: pre; }
td.prose { white-space: pre-line; min-width: 9rem; max-width: 26rem; overflow-wrap: anywhere; }
.right { text-align: right; font-variant-numeric: tabular-nums; }
tbody tr:last-child td, tfoot td { border-bottom: 0; }
tfoot td { font-weight: 600; border-top: 2px solid var(--line); }
ul.items { padding-left: 1.25rem; margin: .25rem 0 1rem; }
ul.items li { margin: .2rem 0; overflow-wrap: anywhere; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .875rem; }
@media (max-width: 40rem) {
  main { padding-top: 1.25rem; }
  h1 { font-size: 1.4rem; }
  .wide { display: none; }
  .narrow { display: block; }
  figure { padding: .75rem; }
  svg text, svg .figure { font-size: 14.5px; }
  svg .detail, svg .tick { font-size: 13.5px; }
  .cards { grid-template-columns: 1fr 1fr; }
  .cards b { font-size: 1.25rem; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --sheet: #fff; --ink: #000; --soft: #444; --line: #bbb;
    --before: #b3bac2; --after: #2f7d4f; --process: #2b6ca8; --headroom: #c5ddf1; --unmeasured: #d9dce0;
    --schedulable: #c9ced4; --cordoned: #e0a526; --evicting: #d97f2f; --withdrawn: #c8553d; --serving: #6b9bd1;
    --proven: #3f8f8b; --in-service: #2f7d4f; --restored: #7d8f3a; --held: #7a5ba6; --failed: #8b1e3f; --good: #2f7d4f; --bad: #b3312a;
    --user-0: #3b75af; --user-1: #d98032; --user-2: #3f8f58; --user-3: #a3468f; --user-4: #c9ab26; --user-5: #d65c68; --user-6: #53b1c9; --user-7: #8a6444;
    --user-others: #8d969f; --user-outside: #3d444c; --unattributed: #b9a4d6; --reserved: #c3c7cc; --card: #eceeef; --mig-device: #d2d8de; --ceiling: #b3312a;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 11px; }
  main { max-width: none; padding: 0; }
  .scroll { overflow: visible; }
  h2, h3 { break-after: avoid; }
  tr { break-inside: avoid; }
}
"""

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ head.title }}</title>
<style>{{ style | safe }}</style>
</head>
<body>
<main>
<header>
<h1>{{ head.title }}</h1>
<p class="subtitle">
{%- if head.cluster is not none %}Cluster {{ head.cluster }} · {% endif -%}
{{ head.of }} <code>{{ head.identity }}</code> · <time datetime="{{ created }}">{{ time }}</time></p>
<p class="verdict {{ head.mood }}">{{ head.verdict }}</p>
{% if head.problems %}
<ul class="items">
{% for problem in head.problems[:10] %}
<li>{{ problem }}</li>
{% endfor %}
{% if head.problems | length > 10 %}<li>… and {{ head.problems | length - 10 }} more</li>{% endif %}
</ul>
{% endif %}
{% for step in head.steps %}
<p>{{ step.words }}{% for command in step.commands %}<br><code>{{ command }}</code>{% endfor %}</p>
{% endfor %}
<ul class="cards">
{% for card in head.cards %}
<li><b>{{ card.value }}</b><span>{{ card.words }}</span></li>
{% endfor %}
</ul>
</header>
<div class="figures">
{% for drawing in drawings %}
<figure class="{{ drawing.name }}">
<figcaption>{{ drawing.figure.title }}</figcaption>
{% if drawing.figure.shapes %}
<ul class="legend">
{% for style, words in drawing.figure.legend %}
<li><i class="{{ style }}"></i>{{ words }}</li>
{% endfor %}
</ul>
{% for variant in drawing.svg %}
<div class="{{ variant.style }}">{{ variant.markup | safe }}</div>
{% endfor %}
{% else %}
<p class="soft">{{ drawing.figure.description }}</p>
{% endif %}
{% if drawing.figure.note %}<p class="note">{{ drawing.figure.note }}</p>{% endif %}
</figure>
{% endfor %}
</div>
{% for document in documents %}
<section>
<h2>{{ document.title }}</h2>
<p>{{ document.subtitle }}</p>
{% for section in document.sections %}
<h3>{{ section.heading }}</h3>
{% if section.text %}<p>{{ section.text }}</p>{% endif %}
{% if section.table %}
<div class="scroll" tabindex="0" role="region" aria-label="{{ section.heading }}">
<table>
<thead><tr>
{%- for column in section.table.columns %}<th scope="col"{% if column.right %} class="right"{% endif %}>{{ column.title }}</th>{% endfor -%}
</tr></thead>
<tbody>
{% for row in section.table.rows %}
<tr>
{%- for cell in row -%}
{%- set column = section.table.columns[loop.index0] -%}
<td{% if column.right %} class="right"{% elif column.wrap %} class="prose"{% endif %}>{{ cell }}</td>
{%- endfor -%}
</tr>
{% endfor %}
</tbody>
{% if section.table.total %}
<tfoot><tr>
{%- for cell in section.table.total -%}
<td{% if section.table.columns[loop.index0].right %} class="right"{% endif %}>{{ cell }}</td>
{%- endfor -%}
</tr></tfoot>
{% endif %}
</table>
</div>
{% if section.table.left_out %}<p class="note">… and {{ section.table.left_out }} more, not shown here.</p>{% endif %}
{% endif %}
{% for command in section.commands %}
<p><code>{{ command }}</code></p>
{% endfor %}
{% if section.lines %}<pre>{{ section.lines | join('\n') }}</pre>{% endif %}
{% if section["items"] %}
<ul class="items">
{% for item in section["items"] %}
<li>{{ item }}</li>
{% endfor %}
</ul>
{% endif %}
{% endfor %}
</section>
{% endfor %}
<footer>
{{ head.footnote }} Memory is in MiB, as NVML reports it.
Written by kubegpu.sharing; <code>report.json</code> beside this file has the same figures for programs.
</footer>
</main>
</body>
</html>
"""
