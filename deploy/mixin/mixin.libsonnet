// Rules and dashboards as a mixin: `local milvusRefresh = import 'mixin.libsonnet';`. It imports the shipped files, which
// are generated; for names and thresholds of your own run tools/generate_rules.py with --set.
local rules = std.parseYaml(importstr '../prometheus/milvus-refresh.rules.yml');
local alerts(group) = std.filter(function(rule) std.objectHas(rule, 'alert'), group.rules);

{
  // A group with alerts keeps its recording rules: the alerts read them at the same evaluation.
  prometheusAlerts+:: { groups+: [group for group in rules.groups if alerts(group) != []] },
  prometheusRules+:: { groups+: [group for group in rules.groups if alerts(group) == []] },
  grafanaDashboards+:: {
    'milvus-refresh-list.json': import '../grafana/milvus-refresh-list.json',
    'milvus-refresh-collection.json': import '../grafana/milvus-refresh-collection.json',
    'milvus-refresh-health.json': import '../grafana/milvus-refresh-health.json',
  },
}
