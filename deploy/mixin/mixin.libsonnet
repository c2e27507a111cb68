// Rules and dashboards as a mixin. Everything in _config may be set:
//
//   (import 'mixin.libsonnet') + { _config+:: { grafana: 'https://grafana.example.com', thresholds+: { pending: '30m' } } }
//
// What thresholds and alerts there are: rules.json, and the tables in ../helm/milvus-refresh-exporter/README.md, whose
// prometheusRule takes the same. rules.json is generated (tools/generate_chart.py).
local shipped = import 'rules.json';
local dashboards = {
  'milvus-refresh-list.json': importstr '../grafana/milvus-refresh-list.json',
  'milvus-refresh-collection.json': importstr '../grafana/milvus-refresh-collection.json',
  'milvus-refresh-health.json': importstr '../grafana/milvus-refresh-health.json',
};

local units = { s: 1, m: 60, h: 3600, d: 86400 };
local seconds(text) = std.parseInt(text[:std.length(text) - 1]) * units[text[std.length(text) - 1]];
local duration(number) =
  local fitting = [unit for unit in ['d', 'h', 'm', 's'] if number % units[unit] == 0];
  '%d%s' % [number / units[fitting[0]], fitting[0]];
local isDuration(value) =
  std.isString(value) && std.length(value) > 1 && std.objectHas(units, value[std.length(value) - 1])
  && std.all([std.member('0123456789', digit) for digit in std.stringChars(value[:std.length(value) - 1])])
  && seconds(value) > 0;
local isNumber(value, kind) = std.isNumber(value) && value > 0 && (if kind == 'count' then value == std.floor(value) else value <= 1);
local quoted(text) = local json = std.escapeStringJson(text); json[1:std.length(json) - 1];
local plain(address) = std.rstripChars(address, '/');

{
  _config+:: {
    // Base addresses without which the links of alerts and dashboards lead nowhere.
    runbooks: 'https://example.com/milvus-refresh-exporter/docs/runbooks',
    grafana: 'http://localhost:3000',
    exporter: 'http://localhost:19540',
    // Jobs that are missed when they are gone, as a regular expression.
    jobs: 'milvus-refresh(-targets)?',
    thresholds: {},
    // Your names for the severities: { critical: 'page' }.
    severities: {},
    // On every alert.
    extraLabels: {},
    extraAnnotations: {},
    // By name: enabled, severity, 'for', keepFiringFor, labels, annotations.
    alerts: {},
  },

  local config = $._config,
  local names = [rule.alert for group in shipped.groups for rule in group.rules if std.objectHas(rule, 'alert')],
  local known(what, given, all) =
    local unknown = std.setDiff(std.set(std.objectFields(given)), std.set(all));
    if unknown == [] then given
    else error '_config.%s: there is no %s; there are %s' % [what, std.join(', ', unknown), std.join(', ', all)],

  local given = known('thresholds', config.thresholds, std.objectFields(shipped.thresholds)),
  local number(name) =
    local about = shipped.thresholds[name];
    local value = std.get(given, name, about.default);
    if about.kind == 'duration' then
      if isDuration(value) then seconds(value)
      else error '_config.thresholds.%s: %s is no time such as 90s, 15m, 6h or 14d' % [name, std.toString(value)]
    else if isNumber(value, about.kind) then value
    else error '_config.thresholds.%s: %s is no %s' % [name, std.toString(value), about.kind],
  local thresholds = { [name]: number(name) for name in std.objectFields(shipped.thresholds) },
  local checked =
    std.all([
      if thresholds[name] > thresholds[shipped.longer[name]] then true
      else error '_config.thresholds.%s: must be longer than %s, or the value that is looked up comes and goes' % [name, shipped.longer[name]]
      for name in std.objectFields(shipped.longer)
    ]) && std.all([
      if thresholds[name] < seconds(shipped.shorter[name]) then true
      else error '_config.thresholds.%s: must be shorter than %s, which is how far Prometheus looks back' % [name, shipped.shorter[name]]
      for name in std.objectFields(shipped.shorter)
    ]) && std.all([
      if std.get(std.get(alerts, name, {}), 'enabled', true) then true
      else error '_config.alerts.%s: other alerts are silent for what it tells, so nobody would tell it. Set thresholds.%s to 1000000 instead: then they do.' % [name, shipped.instead[name]]
      for name in std.objectFields(shipped.instead)
    ]) && std.all([
      if !std.member(shipped.identity, label) then true
      else error '_config: %s is a label that alerts have already, and what they are told apart by; severities have settings of their own' % label
      for labels in [config.extraLabels] + [std.get(alerts[name], 'labels', {}) for name in std.objectFields(alerts)]
      for label in std.objectFields(labels)
    ]),
  local alerts = known('alerts', config.alerts, names),
  local severities = known('severities', config.severities, ['critical', 'warning', 'info']),

  local texts = {
    // Quoted for PromQL and, as everything here, for the document.
    jobs: quoted(quoted(config.jobs)),
    runbooks: quoted(plain(config.runbooks)),
    grafana: quoted(plain(config.grafana)),
  },
  // $(name), $(name:duration), $(one+other:duration)
  local value(token) =
    local parts = std.split(token[2:std.length(token) - 1], ':');
    if std.objectHas(texts, parts[0]) then texts[parts[0]] else
      local sum = std.foldl(function(sum, name) sum + thresholds[name], std.split(parts[0], '+'), 0);
      if std.length(parts) > 1 then duration(sum) else if sum == std.floor(sum) then '%d' % sum else std.rstripChars('%.12f' % sum, '0'),
  // In the text of the whole document: value by value takes jsonnet a hundred times as long.
  local filled = std.parseJson(std.foldl(
    function(text, token) std.strReplace(text, token, value(token)), shipped.tokens, importstr 'rules.json'
  )),

  local alert(rule) =
    local own = known('alerts.' + rule.alert, std.get(alerts, rule.alert, {}), ['enabled', 'severity', 'for', 'keepFiringFor', 'labels', 'annotations']);
    local times = { [if std.objectHas(own, 'for') then 'for']: own['for'], [if std.objectHas(own, 'keepFiringFor') then 'keep_firing_for']: own.keepFiringFor };
    rule + times + {
      labels: config.extraLabels + std.get(own, 'labels', {}) + {
        severity: std.get(own, 'severity', std.get(severities, rule.labels.severity, rule.labels.severity)),
      },
      annotations: rule.annotations + config.extraAnnotations + std.get(own, 'annotations', {}),
    },
  local rules(group) = [
    if std.objectHas(rule, 'alert') then alert(rule) else rule
    for rule in group.rules
    if std.get(std.get(alerts, std.get(rule, 'alert', ''), {}), 'enabled', true)
  ],
  local groups = [
    group { rules: kept }
    for group in filled.groups
    if checked
    for kept in [rules(group)]
    if kept != []
  ],
  local withAlerts(group) = std.any([std.objectHas(rule, 'alert') for rule in group.rules]),

  prometheusAlerts+:: { groups+: std.filter(withAlerts, groups) },
  prometheusRules+:: { groups+: std.filter(function(group) !withAlerts(group), groups) },
  grafanaDashboards+:: {
    [file]: std.parseJson(std.strReplace(
      std.strReplace(dashboards[file], 'http://localhost:19540', plain(config.exporter)),
      'https://example.com/milvus-refresh-exporter/docs/runbooks',
      plain(config.runbooks)
    ))
    for file in std.objectFields(dashboards)
  },
}
