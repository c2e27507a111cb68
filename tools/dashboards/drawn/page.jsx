// A dashboard's panels on their grid, from what the page was given: see draw.py.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { createTheme, ThemeContext, dateTime } from '@grafana/data';
import { GlobalStyles, PortalContainer } from '@grafana/ui';
import { Panel, prepared } from './panel.jsx';

const CELL = 30, GAP = 8;
const { panels, range, variables, width, theme: mode, title, note } = window.given;
const theme = createTheme({ colors: { mode } });
const surroundings = { theme, range, variables, timeRange: {
  from: dateTime(range.from * 1000), to: dateTime(range.to * 1000), raw: { from: 'now-24h', to: 'now' } } };

function Grid({ drawn }) {
  const column = (width - GAP) / 24;
  const top = Math.min(...drawn.map(({ panel }) => panel.gridPos.y));
  const bottom = Math.max(...drawn.map(({ panel }) => panel.gridPos.y + panel.gridPos.h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div id="grid" style={{ position: 'relative', width, height: (bottom - top) * (CELL + GAP) + 48 }}>
        <div style={{ padding: '10px 8px', fontSize: 16 }}>{title}
          <span style={{ float: 'right', fontSize: 12, opacity: 0.7 }}>{note}</span></div>
        {drawn.map(({ panel, data }) => {
          const { x, y, w, h } = panel.gridPos;
          const box = { position: 'absolute', left: GAP + x * column, top: 48 + (y - top) * (CELL + GAP) };
          const [wide, high] = [w * column - GAP, h * (CELL + GAP) - GAP];
          return panel.type === 'row'
            ? <div key={panel.id} style={{ ...box, fontSize: 15, paddingTop: 6 }}>{`⌄ ${panel.title.replace(/\$(\w+)/g, (whole, name) => variables[name] ?? whole)}`}</div>
            : <div key={panel.id} style={box}><Panel {...{ panel, data, surroundings }} width={wide} height={high} /></div>;
        })}
      </div>
      <PortalContainer />
    </ThemeContext.Provider>
  );
}

const drawn = await Promise.all(panels.map(async ({ panel, results }) => (
  { panel, data: panel.type === 'row' ? [] : await prepared(panel, results, surroundings) })));
createRoot(document.getElementById('root')).render(<Grid drawn={drawn} />);
document.fonts.ready.then(() => setTimeout(() => { document.body.dataset.drawn = 'yes'; }, 1500));
