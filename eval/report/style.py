"""The style sheet of the report page, inlined so that the page needs no other file."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5c6b7a; --line: #d5dde5; --paper: #ffffff; --box: #f5f7fa;
  --good: #1a7f4b; --bad: #c0392b; --drawn: #1f6feb; --truth: #8a63d2; --run2: #c65102; --run3: #c2317f;
  --run4: #8a6d00; --run5: #007a99; --run6: #47525e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e9ef; --soft: #9aa8b6; --line: #33404d; --paper: #12181f;
  --box: #1a222b; --good: #4ec98a; --bad: #ff7b6b; --drawn: #6ea8ff; --truth: #b79cf2;
  --run2: #ff9e4a; --run3: #ff86c0; --run4: #dcc04a; --run5: #4cc9e8; --run6: #c3ccd6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 24px 60px; max-width: 1320px;
  font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 40px 0 10px; border-bottom: 1px solid var(--line); padding-bottom: 4px; }
.note { color: var(--soft); margin: 4px 0; }
.verdict { font-weight: 600; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td:not(:first-child) { white-space: nowrap; }
td.long:not(:first-child) { white-space: normal; overflow-wrap: anywhere; min-width: 15em; }
td.pair:not(:first-child) { white-space: normal; min-width: 7.6em; }
summary { color: var(--soft); cursor: pointer; margin: 14px 0; }
.yes { color: var(--good); font-weight: 600; } .missed { color: var(--bad); font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); gap: 18px; }
figure.chart { margin: 0; padding: 10px; background: var(--box); border-radius: 8px; }
figure.chart figcaption { font-size: 13px; min-height: 3em; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 10px system-ui, sans-serif; fill: var(--soft); }
.grid { stroke: var(--line); } .target { stroke: var(--good); stroke-dasharray: 5 4; }
polyline { fill: none; stroke-width: 2; }
polyline.drawn { stroke: var(--drawn); } circle.drawn { fill: var(--drawn); }
polyline.truth { stroke: var(--truth); stroke-dasharray: 3 3; } circle.truth { fill: var(--truth); }
polyline.run2 { stroke: var(--run2); stroke-dasharray: 8 3; } path.run2 { fill: var(--run2); }
polyline.run3 { stroke: var(--run3); stroke-dasharray: 9 3 2 3; } path.run3 { fill: var(--run3); }
polyline.run4 { stroke: var(--run4); stroke-dasharray: 2 2; } path.run4 { fill: var(--run4); }
polyline.run5 { stroke: var(--run5); stroke-dasharray: 14 4; } path.run5 { fill: var(--run5); }
polyline.run6 { stroke: var(--run6); stroke-dasharray: 5 2 2 2 2 2; }
path.run6 { stroke: var(--run6); stroke-width: 2; }
.key { white-space: nowrap; margin-right: 16px; }
.key svg { display: inline-block; width: 36px; margin-right: 6px; vertical-align: middle; }
.panorama { margin: 22px 0 34px; }
.panorama h3 { font-size: 15px; margin: 0 0 6px; font-weight: 600; }
.stripe { position: relative; line-height: 0; }
.stripe img { width: 100%; image-rendering: auto; border-radius: 3px; }
.stripe i { position: absolute; --mark: rgb(255 255 255 / 90%);
  background: linear-gradient(var(--way), var(--mark) 0 9%, transparent 9% 91%, var(--mark) 91%); }
.across i { --way: to bottom; top: 0; bottom: 0; width: 2px; margin: 0 -1px; }
.along i { --way: to right; left: 0; right: 0; height: 2px; margin: -1px 0; }
.stripe:hover i { background: var(--mark); }
.row { display: grid; gap: 0; margin-bottom: 8px; }
.row > div { font-size: 11.5px; line-height: 1.35; padding: 4px 6px 4px 4px; overflow-wrap: anywhere;
  border-left: 1px solid var(--line); }
.row b { color: var(--soft); font-weight: 600; }
.read { color: var(--soft); } .read .bad { color: var(--bad); }
.which { font-size: 12px; color: var(--soft); margin: 8px 0 3px; }
.columns { display: flex; gap: 18px; align-items: flex-start; overflow-x: auto; }
.columns .stripe { width: 190px; flex: none; }
dl { margin: 0; } dt { font-weight: 600; margin-top: 10px; } dd { margin: 0; color: var(--soft); }
pre { background: var(--box); padding: 12px; border-radius: 8px; overflow-x: auto; font-size: 12.5px; }
"""
