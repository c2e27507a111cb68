// One panel of a dashboard's JSON, drawn by Grafana's own components: what Grafana's panel plugins are made of.
import React from 'react';
import {
  FieldConfigOptionsRegistry, FieldColorModeId, applyFieldOverrides, cacheFieldDisplayNames, dataLinksOverrideProcessor,
  displayNameOverrideProcessor, getDisplayProcessor, getFieldDisplayValues, getFieldDisplayName,
  identityOverrideProcessor, valueMappingsOverrideProcessor, numberOverrideProcessor, renderTextPanelMarkdown,
  standardTransformers, standardTransformersRegistry, thresholdsOverrideProcessor, toDataFrame, transformDataFrame,
  unitOverrideProcessor, VizOrientation,
} from '@grafana/data';
import {
  BarGauge, BigValue, DataLinksContextMenu, PanelChrome, TimeSeries, VizRepeater,
} from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { lastValueFrom } from 'rxjs';

// Some have two names there.
standardTransformersRegistry.setInit(() => [...new Map(Object.values(standardTransformers).map((each) => (
  [each.id, { id: each.id, name: each.name, transformation: async () => each }]))).values()]);

// Grafana's server registers the options of fields with the editors for them; here only the processors are needed.
const PROCESSORS = {
  unit: unitOverrideProcessor, min: numberOverrideProcessor, max: numberOverrideProcessor,
  decimals: numberOverrideProcessor, displayName: displayNameOverrideProcessor, mappings: valueMappingsOverrideProcessor,
  thresholds: thresholdsOverrideProcessor, links: dataLinksOverrideProcessor, color: identityOverrideProcessor,
  noValue: identityOverrideProcessor,
};

function registryFor(panel) {
  const custom = [panel.fieldConfig?.defaults?.custom ?? {}, ...(panel.fieldConfig?.overrides ?? []).flatMap(
    (each) => each.properties.filter(({ id }) => id.startsWith('custom.')).map(({ id }) => ({ [id.slice(7)]: 0 })))];
  const names = new Set(custom.flatMap((each) => Object.keys(each)));
  const item = (id, path, isCustom, process) => (
    { id, path, isCustom, name: id, process, shouldApply: () => true, editor: () => null, override: () => null });
  return new FieldConfigOptionsRegistry(() => [
    ...Object.entries(PROCESSORS).map(([id, process]) => item(id, id, false, process)),
    ...[...names].map((name) => item(`custom.${name}`, name, true, identityOverrideProcessor)),
  ]);
}

export async function prepared(panel, results, surroundings) {
  const frames = panel.targets?.flatMap((target) => framesOf(target, results[target.refId] ?? [], surroundings, panel)) ?? [];
  const known = frames.map((frame) => toDataFrame(frame));
  const joined = panel.transformations?.length
    ? await lastValueFrom(transformDataFrame(panel.transformations, known)) : known;
  const ready = applyFieldOverrides({
    data: joined, fieldConfig: panel.fieldConfig ?? { defaults: {}, overrides: [] },
    fieldConfigRegistry: registryFor(panel), replaceVariables: (text) => text, theme: surroundings.theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(ready);
  return ready;
}

// As the data source for Prometheus hands it on.
function framesOf(target, series, { range }, panel) {
  if (target.format === 'table') return series.length ? [tableOf(target, series, panel.targets.length === 1)] : [];
  return series.map(({ metric, value, values }) => {
    const points = filledUp(values ?? [value], target, range);
    const name = target.legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => metric[label] ?? '').trim();
    return { refId: target.refId, name, fields: [
      { name: 'Time', type: 'time', config: {}, values: points.map(([at]) => at * 1000) },
      { name: 'Value', type: 'number', labels: metric, config: { displayNameFromDS: name },
        values: points.map(([, found]) => (found === null ? null : Number(found))) }] };
  });
}

// A point that Prometheus leaves out is a gap.
function filledUp(points, target, range) {
  if (target.instant || points.length === 0) return points;
  const found = new Map(points.map(([at, value]) => [Math.round(at), value]));
  const all = [];
  for (let at = range.from; at <= range.to; at += target.step) all.push([at, found.get(Math.round(at)) ?? null]);
  return all;
}

function tableOf(target, series, alone) {
  const labels = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return { refId: target.refId, fields: [
    { name: 'Time', type: 'time', config: {}, values: series.map(({ value }) => value[0] * 1000) },
    ...labels.map((label) => (
      { name: label, type: 'string', config: {}, values: series.map(({ metric }) => metric[label] ?? '') })),
    { name: alone ? 'Value' : `Value #${target.refId}`, type: 'number', config: {},
      values: series.map(({ value }) => Number(value[1])) }] };
}

export function Panel({ panel, data, width, height, surroundings }) {
  return (
    <PanelChrome title={panel.title} description={panel.description} width={width} height={height} padding="md">
      {(innerWidth, innerHeight) => {
        const Inside = KINDS[panel.type] ?? Plain;
        return <Inside {...{ panel, data, surroundings }} width={innerWidth} height={innerHeight} />;
      }}
    </PanelChrome>
  );
}

function displayValues(panel, data, { theme }) {
  return getFieldDisplayValues({ fieldConfig: panel.fieldConfig, reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text, theme, data, timeZone: 'utc' });
}

function Stat({ panel, data, width, height, surroundings }) {
  const values = displayValues(panel, data, surroundings);
  return (
    <VizRepeater getValues={() => values} width={width} height={height} source={data} orientation={VizOrientation.Auto}
      itemSpacing={3} autoGrid={true}
      renderValue={({ value, width, height, count }) => (
        <BigValue value={value.display} count={count} width={width} height={height} theme={surroundings.theme}
          colorMode={panel.options.colorMode} graphMode={panel.options.graphMode} textMode={panel.options.textMode}
          justifyMode={panel.options.justifyMode} />)} />
  );
}

function Bars({ panel, data, width, height, surroundings }) {
  const values = displayValues(panel, data, surroundings);
  const { orientation, displayMode, showUnfilled, valueMode } = panel.options;
  return (
    <VizRepeater getValues={() => values} getAlignmentFactors={() => longest(values)} width={width} height={height}
      source={data} orientation={orientation} minVizHeight={16} maxVizHeight={40} itemSpacing={10}
      renderValue={({ value, alignmentFactors, orientation, width, height, count }) => (
        <BarGauge value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          text={value.text} theme={surroundings.theme} itemSpacing={10} lcdCellWidth={12} {...{ alignmentFactors,
            orientation, width, height, displayMode, showUnfilled }} valueDisplayMode={valueMode} />)} />
  );
}

function longest(values) {
  const most = (of) => values.reduce((found, { display }) => (of(display).length > found.length ? of(display) : found), '');
  return { title: most(({ title }) => title ?? ''), text: most(({ text, prefix = '', suffix = '' }) => prefix + text + suffix) };
}

function Table({ panel, data, width, height }) {
  const [frame] = data;
  if (!frame?.length) return <Nothing text={panel.fieldConfig.defaults.noValue} />;
  return (
    <TableNG data={frame} width={width} height={height} noHeader={!panel.options.showHeader} timeRange={undefined}
      cellHeight={panel.options.cellHeight} sortBy={panel.options.sortBy} sortByBehavior="managed" maxRowHeight={panel.options.maxRowHeight} disableSanitizeHtml={false}
      fieldConfig={panel.fieldConfig} structureRev={1} getActions={() => []} enableVirtualization={false} />
  );
}

function Course({ panel, data, width, height, surroundings }) {
  if (!data.length) return <Nothing text={panel.fieldConfig.defaults.noValue ?? 'No data'} />;
  const frames = data.map((frame) => ({ ...frame, fields: frame.fields.map((field) => (
    { ...field, config: { ...field.config, custom: { ...USUAL, ...field.config.custom } } })) }));
  return (
    <TimeSeries frames={frames} width={width} height={height} timeRange={surroundings.timeRange} timeZone="utc"
      legend={panel.options.legend} structureRev={1} options={panel.options} />
  );
}

// What Grafana's panel sets where the JSON says nothing.
const USUAL = { drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, spanNulls: false,
  showPoints: 'auto', pointSize: 5, axisPlacement: 'auto', scaleDistribution: { type: 'linear' },
  stacking: { mode: 'none', group: 'A' }, hideFrom: { viz: false, legend: false, tooltip: false } };

function Prose({ panel, surroundings }) {
  const content = panel.options.content.replace(/\$\{?(\w+)\}?/g, (whole, name) => surroundings.variables[name] ?? whole);
  return <div className="markdown-html" dangerouslySetInnerHTML={{ __html: renderTextPanelMarkdown(content) }} />;
}

// @grafana/ui has no state timeline and no heat map: Grafana's server brings them. The latest values, said so.
function Plain({ panel, data, height }) {
  const rows = data.flatMap((frame) => frame.fields.filter(({ type }) => type === 'number').map((field) => {
    const latest = field.values.filter((value) => value !== null).at(-1);
    const { text, suffix = '', color } = field.display(latest);
    return { name: getFieldDisplayName(field, frame, data), text: text + suffix, color };
  }));
  return (
    <div style={{ height, overflow: 'hidden', columnWidth: 260, fontSize: 12, lineHeight: '20px' }}>
      <div style={{ opacity: 0.75 }}>{`Not in Grafana's library: a ${panel.type}. Its latest values:`}</div>
      {rows.map(({ name, text, color }) => (
        <div key={name}><span style={{ background: color, display: 'inline-block', height: 10, width: 10, marginRight: 6 }} />
          {`${name}: ${text}`}</div>))}
    </div>
  );
}

function Nothing({ text }) {
  return <div style={{ alignItems: 'center', display: 'flex', height: '100%', justifyContent: 'center' }}>{text}</div>;
}

const KINDS = { stat: Stat, bargauge: Bars, table: Table, timeseries: Course, text: Prose };
