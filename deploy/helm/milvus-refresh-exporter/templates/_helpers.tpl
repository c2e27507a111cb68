{{- define "mre.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 characters: a StatefulSet's pods have more to add. */}}
{{- define "mre.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "mre.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "mre.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "mre.selector" -}}
app.kubernetes.io/name: {{ include "mre.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mre.labels" -}}
{{ include "mre.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "mre.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "mre.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "mre.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "mre.kind" -}}
{{- ternary "StatefulSet" "Deployment" (or .Values.state.enabled (gt (int .Values.shards) 1)) -}}
{{- end -}}

{{- define "mre.replicas" -}}
{{- ternary .Values.shards .Values.replicaCount (gt (int .Values.shards) 1) -}}
{{- end -}}

{{/* The default's `milvus` has no place beside targets. */}}
{{- define "mre.config" -}}
{{- toYaml (ternary (omit .Values.config "milvus") .Values.config (hasKey .Values.config "targets")) -}}
{{- end -}}

{{/* What cannot be said in values.schema.json. */}}
{{- define "mre.refuse" -}}
{{- if and (gt (int .Values.shards) 1) (gt (int .Values.replicaCount) 1) -}}
{{- fail "shards and replicaCount: only one of them can be more than 1. For two replicas of each shard install the chart twice." -}}
{{- end -}}
{{- if and (gt (int .Values.shards) 1) (not .Values.config.targets) -}}
{{- fail "shards: has no effect without config.targets" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "serviceMonitor and podMonitor: enable one of them, or everything is scraped twice" -}}
{{- end -}}
{{- if and (or .Values.probe.enabled .Values.scrapeConfig.enabled) (not .Values.config.targets) -}}
{{- fail "probe and scrapeConfig: need config.targets; one Milvus is scraped with serviceMonitor or podMonitor" -}}
{{- end -}}
{{- if and .Values.probe.enabled .Values.scrapeConfig.enabled -}}
{{- fail "probe and scrapeConfig: enable one of them, or everything is scraped twice" -}}
{{- end -}}
{{- if and .Values.probe.enabled (gt (int .Values.shards) 1) -}}
{{- fail "probe: with shards each pod knows its own targets only, and the Service asks any of them; use scrapeConfig" -}}
{{- end -}}
{{- end -}}

{{- define "mre.probe" -}}
{{- if eq .scheme "TCP" -}}
tcpSocket:
  port: http-metrics
{{- else -}}
httpGet:
  path: {{ .path }}
  port: http-metrics
{{- if eq .scheme "HTTPS" }}
  scheme: HTTPS
{{- end }}
{{- end }}
{{- end -}}

{{/* Where the targets are asked for. */}}
{{- define "mre.sd" -}}
- url: {{ .url }}
  refreshInterval: 1m
  {{- with .monitor.tlsConfig }}
  tlsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .monitor.basicAuth }}
  basicAuth:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* One endpoint of a ServiceMonitor or PodMonitor. */}}
{{- define "mre.endpoint" -}}
port: http-metrics
path: {{ dig "web" "telemetry_path" "/metrics" .Values.config }}
{{- with .Values.serviceMonitor }}
{{- if ne .scheme "http" }}
scheme: {{ .scheme }}
{{- end }}
interval: {{ .interval }}
scrapeTimeout: {{ .scrapeTimeout }}
{{- with .tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .basicAuth }}
basicAuth:
  {{- toYaml . | nindent 2 }}
{{- end }}
relabelings:
  - targetLabel: job
    replacement: {{ .jobName }}
  {{- with .milvus }}
  - targetLabel: milvus
    replacement: {{ . }}
  {{- end }}
  {{- with .relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
